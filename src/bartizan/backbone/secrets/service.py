"""Rules of secrets."""

import re
from typing import Any

from bartizan.backbone.events import Events
from bartizan.foundation import ids
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import Permission, current
from bartizan.foundation.crypto import CannotOpen, Keyring
from bartizan.foundation.database import Database
from bartizan.foundation.pages import Cursor, Limit, Page, cut, decode

from .errors import InvalidSecretName, SecretExists, SecretUnreadable, TooManySecrets, UnknownSecret
from .events import SecretCreated, SecretDeleted, SecretRead, SecretRotated, SecretsResealed
from .settings import SecretsSettings
from .store import EverySecret, SecretStore
from .types import NewSecret, Platform, Secret, SecretRotation

READ = Permission("secrets:read", "See which secrets exist, never their values")
WRITE = Permission("secrets:write", "Store, rotate and delete secrets")

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,79}")
_BATCH = 100


class Secrets:
    """Named secrets of each organization and of the platform: ``bz.secrets``.

    A value goes in through :meth:`create` and :meth:`rotate` and comes out only through :meth:`get`,
    which no door offers: it is for code.
    """

    def __init__(
        self,
        database: Database,
        events: Events,
        keyring: Keyring,
        settings: SecretsSettings | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        self._database = database
        self._events = events
        self._keyring = keyring
        self._settings = settings or SecretsSettings()
        self._clock = clock or Clock()

    async def list(
        self, limit: Limit = 50, cursor: Cursor = None, *, platform: Platform = False
    ) -> Page[Secret]:
        """List the secrets by name, without their values."""
        org_id = _scope(READ, platform=platform)
        after = decode(cursor)[0] if cursor else None
        async with self._database.reading() as session:
            rows = await SecretStore(session, org_id).page(after, limit)
        page, further = cut(rows, limit, lambda row: [row.name])
        return Page(items=[Secret.model_validate(row) for row in page], next=further)

    async def describe(self, name: str, *, platform: Platform = False) -> Secret:
        """Tell what is known of one secret, without its value."""
        org_id = _scope(READ, platform=platform)
        async with self._database.reading() as session:
            row = await SecretStore(session, org_id).newest(_checked(name))
        if row is None:
            raise UnknownSecret(name=name)
        return Secret.model_validate(row)

    async def create(self, new: NewSecret, *, platform: Platform = False) -> Secret:
        """Store a new secret as version 1; refuses a name that is taken."""
        org_id = _scope(WRITE, platform=platform)
        async with self._database.transaction() as session:
            store = SecretStore(session, org_id)
            if await store.newest(new.name):
                raise SecretExists(name=new.name)
            if await store.count() >= self._settings.most:
                raise TooManySecrets(most=self._settings.most)
            columns = self._columns(org_id, new.name, 1, new.value.get_secret_value())
            columns |= {"description": new.description, "created_at": columns["set_at"]}
            await store.add(**columns)
            event = SecretCreated(secret=new.name, platform=platform)
            await self._events.announce(event, org_id=org_id)
        return Secret.model_validate(columns)

    async def rotate(self, name: str, new: SecretRotation, *, platform: Platform = False) -> Secret:
        """Give a secret a new value.

        Older versions stay readable by number until ``keep_versions`` newer ones exist, so that what
        still uses the old value can catch up.
        """
        org_id = _scope(WRITE, platform=platform)
        async with self._database.transaction() as session:
            store = SecretStore(session, org_id)
            old = await store.newest(_checked(name), lock=True)
            if old is None:
                raise UnknownSecret(name=name)
            old.newest = False
            version = old.version + 1
            columns = self._columns(org_id, name, version, new.value.get_secret_value())
            columns |= {"description": old.description, "created_at": old.created_at}
            await store.add(**columns)
            await store.forget(name, up_to=version - self._settings.keep_versions)
            event = SecretRotated(secret=name, version=version, platform=platform)
            await self._events.announce(event, org_id=org_id)
        return Secret.model_validate(columns)

    async def delete(self, name: str, *, platform: Platform = False) -> None:
        """Delete a secret with all its versions, at once and for good."""
        org_id = _scope(WRITE, platform=platform)
        async with self._database.transaction() as session:
            store = SecretStore(session, org_id)
            if await store.newest(_checked(name), lock=True) is None:
                raise UnknownSecret(name=name)
            await store.forget(name)
            await self._events.announce(SecretDeleted(secret=name, platform=platform), org_id=org_id)

    async def get(self, name: str, *, version: int | None = None, platform: bool = False) -> str:
        """Read a secret's value, the newest or of one version.

        For code, whoever the caller is: no door offers it and no permission is asked. The secret is the
        current organization's, or the platform's. Each reading is announced, and so audited.
        """
        org_id = None if platform else current.org_id
        async with self._database.transaction() as session:
            store = SecretStore(session, org_id)
            checked = _checked(name)
            row = await (store.newest(checked) if version is None else store.version(checked, version))
            if row is None:
                raise UnknownSecret(name=name)
            value = self._open(org_id, name, row.version, row.sealed)
            event = SecretRead(secret=name, version=row.version, platform=platform)
            await self._events.announce(event, org_id=org_id)
        return value.decode()

    async def reseal(self) -> int:
        """Put every stored version under the keyring's newest key; return how many were not yet.

        Run it after the key was rotated and before the old key is taken away. It goes in small
        transactions and may be stopped and run again at any time. Raises ``SecretUnreadable`` where no key
        of the ring opens a version.
        """
        current.require_operator()
        every = EverySecret(self._database)
        count = 0
        for platform in (True, False):
            after = ""
            while batch := await every.batch(platform=platform, after=after, limit=_BATCH):
                async with self._database.transaction() as session:
                    for row_id, name, sealed in batch:
                        if not self._keyring.current(sealed):
                            new = self._rewrapped(name, sealed)
                            await every.replace(session, row_id, platform=platform, old=sealed, new=new)
                            count += 1
                after = batch[-1][0]
        if count:
            await self._events.announce(SecretsResealed(count=count), org_id=None)
        return count

    def _columns(self, org_id: str | None, name: str, version: int, value: str) -> dict[str, Any]:
        return {
            "id": ids.new("sec"),
            "name": name,
            "version": version,
            "newest": True,
            "sealed": self._keyring.seal(value.encode(), _label(org_id, name, version)),
            "set_at": self._clock.now(),
            "set_by": current.caller.id,
        }

    def _rewrapped(self, name: str, sealed: bytes) -> bytes:
        try:
            return self._keyring.rewrap(sealed)
        except CannotOpen as error:
            raise SecretUnreadable(name=name) from error

    def _open(self, org_id: str | None, name: str, version: int, sealed: bytes) -> bytes:
        try:
            return self._keyring.open(sealed, _label(org_id, name, version))
        except CannotOpen as error:
            raise SecretUnreadable(name=name, version=version) from error


def _scope(permission: Permission, *, platform: bool) -> str | None:
    """Check the permission; give the organization, or none for the platform."""
    if platform:
        current.require_operator()
        return None
    current.require(permission)
    return current.org_id


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidSecretName(field="name")
    return name


def _label(org_id: str | None, name: str, version: int) -> bytes:
    """Bind a seal to its place, so that a row copied elsewhere does not open."""
    return f"secrets/{org_id or 'platform'}/{name}/{version}".encode()
