"""Rules of API keys."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from bartizan.access.api_keys.errors import (
    ApiKeyNotActive,
    ExpiryNotAllowed,
    InvalidApiKey,
    OnlyPeopleMakeKeys,
    ScopeTooWide,
    TooManyApiKeys,
    UnknownApiKey,
)
from bartizan.access.api_keys.events import ApiKeyIssued, ApiKeyRevoked, ApiKeyRotated, ApiKeyUpdated
from bartizan.access.api_keys.settings import ApiKeysSettings
from bartizan.access.api_keys.store import ApiKeyStore, KeyRing
from bartizan.access.api_keys.tables import ApiKeyRow
from bartizan.access.api_keys.types import (
    ApiKey,
    ApiKeyChanges,
    IssuedApiKey,
    KnownKey,
    Mode,
    NewApiKey,
    Principal,
    Rotation,
)
from bartizan.access.orgs import Orgs
from bartizan.access.rbac import Effective, Rbac
from bartizan.backbone.events import Envelope, Events
from bartizan.foundation import ids
from bartizan.foundation.clock import Clock, Recent
from bartizan.foundation.context import Permission, PermissionMissing, current
from bartizan.foundation.crypto import Keyring
from bartizan.foundation.database import Database
from bartizan.foundation.errors import Invalid
from bartizan.foundation.pages import Cursor, Limit, Page, cut, decode

from .secret import Form

READ = Permission("api_keys:read", "See one's own API keys")
WRITE = Permission("api_keys:write", "Issue, rotate and revoke one's own API keys")
MANAGE = Permission("api_keys:manage", "Manage keys of the organization, and revoke anybody's")
PERMISSIONS = (READ, WRITE, MANAGE)

_PURPOSE = "api_keys"
_MOST_USED = 10_000
"""Keys whose usage waits in memory at most, before it is written down."""


class ApiKeys:
    """Keys that let machines in: ``bz.api_keys``."""

    def __init__(
        self,
        database: Database,
        events: Events,
        *,
        rbac: Rbac,
        orgs: Orgs,
        keyring: Keyring,
        clock: Clock | None = None,
        settings: ApiKeysSettings | None = None,
    ) -> None:
        self._database = database
        self._events = events
        self._rbac = rbac
        self._orgs = orgs
        self._keyring = keyring
        self._clock = clock = clock or Clock()
        self._settings = settings = settings or ApiKeysSettings()
        self._ring = KeyRing(database)
        self._known: Recent[str, KnownKey] = Recent(
            clock, seconds=settings.cache_seconds, size=settings.cache_size
        )
        self._used: dict[str, tuple[int, datetime]] = {}
        self._written = clock.monotonic()
        self._form = Form(settings.prefix)
        rbac.declare(*PERMISSIONS)
        events.within("user.deactivated", self._person_gone)
        events.within("user.deleted", self._person_gone)
        events.within("member.removed", self._member_gone)
        events.within("team.deleted", self._team_gone)
        events.within("organization.deleted", self._organization_gone)

    # Being let in

    def is_key(self, text: str) -> bool:
        """Tell whether a text begins like a key of ours, so that it is to be judged here and nowhere else."""
        return self._form.begins(text)

    async def authenticate(self, secret: str) -> Principal:
        """Let the bearer of a key in; refuses with 401 whatever is not a working key.

        What has a wrong checksum is refused without asking the database. The key's permissions are its
        scopes, as far as its owner holds them at this moment. A key revoked on this replica is refused
        at once, on others within five seconds.
        """
        if not self._form.fits(secret):
            raise InvalidApiKey
        digest = self._digest(secret)
        key = self._known.get(digest)
        if key is None:
            generation = self._known.generation
            every = [mac.hex() for mac in self._keyring.macs(_PURPOSE, secret.encode())]
            key = await self._ring.look_up(every)
            if key is None:
                raise InvalidApiKey
            if key.digest != digest:  # the server's secret key was rotated since
                await self._ring.digest_anew(key, digest)
            if not self._database.in_transaction:
                self._known.put(digest, key, generation)
        now = self._clock.now()
        if key.expires_at is not None and key.expires_at <= now:
            raise InvalidApiKey
        held = await self._held_by_owner(key.owner_kind, key.owner_id, key.org_id)
        if held is None:
            raise InvalidApiKey
        count, _ = self._used.get(key.id, (0, now))
        self._used[key.id] = (count + 1, now)
        if self._due():
            await self.flush()
        return Principal(
            key_id=key.id,
            org_id=key.org_id,
            permissions=key.scopes & held.permissions,
            owner_roles=held.roles,
            user_id=key.owner_id if key.owner_kind == "person" else None,
            team_id=key.owner_id if key.owner_kind == "team" else None,
            mode="live" if key.mode == "live" else "test",
            rate_limit=key.rate_limit,
        )

    async def flush(self) -> None:
        """Write down the usage that waits in memory; doors do so before they stop."""
        used, self._used = self._used, {}
        self._written = self._clock.monotonic()
        if used:
            await self._ring.record(used)

    # Keeping keys

    async def list(self, limit: Limit = 50, cursor: Cursor = None) -> Page[ApiKey]:
        """List your keys, the newest first; who manages keys sees the whole organization's."""
        current.require(READ)
        await self.flush()
        owner = None if current.allows(MANAGE) else current.user_id
        after = decode(cursor)[0] if cursor else None
        async with self._database.reading() as session:
            found = await ApiKeyStore(session, current.org_id).page(owner, after, limit + 1)
        rows, following = cut(found, limit, lambda row: [row.id])
        return Page(items=[ApiKey.model_validate(row) for row in rows], next=following)

    async def get(self, key_id: str) -> ApiKey:
        """Show one key, with how often it was used, and when last."""
        current.require(READ)
        await self.flush()
        async with self._database.reading() as session:
            return ApiKey.model_validate(await self._seen(ApiKeyStore(session, current.org_id), key_id))

    async def issue(self, new: NewApiKey) -> IssuedApiKey:
        """Issue a key. Its secret is shown once and never stored.

        It can do no more than you can, now and later: a key of yours shrinks and ends with your own
        rights; a team's or an organization's stays when you leave.
        """
        current.require(WRITE)
        _person_asks()
        org_id = current.org_id
        owner_id = await self._owner_of(new)
        held = await self._held(new.owner, owner_id)
        scopes = sorted(held) if new.scopes is None else self._scopes(new.scopes, held)
        self._check_expiry(new.expires_at)
        async with self._database.transaction() as session:
            store = ApiKeyStore(session, org_id)
            if await store.count_working(self._clock.now()) >= self._settings.max_keys:
                raise TooManyApiKeys(limit=self._settings.max_keys)
            row, secret = self._make(new.mode)
            row.name = new.name
            row.owner_kind = new.owner
            row.owner_id = owner_id
            row.scopes = list(scopes)
            row.rate_limit = new.rate_limit
            row.expires_at = new.expires_at
            await store.add(row)
            await self._events.announce(
                ApiKeyIssued(key_id=row.id, label=row.name, owner_id=owner_id, scopes=tuple(scopes))
            )
        return IssuedApiKey(**ApiKey.model_validate(row).model_dump(), secret=secret)

    async def update(self, key_id: str, changes: ApiKeyChanges) -> ApiKey:
        """Rename a key, or change what it may do; you must hold what it shall do."""
        current.require(WRITE)
        async with self._database.transaction() as session:
            store = ApiKeyStore(session, current.org_id)
            row = await self._steered(store, key_id)
            given = changes.model_fields_set - {"scopes"}
            if changes.name is not None:
                row.name = changes.name
            if changes.scopes is not None:
                _person_asks()
                row.scopes = list(
                    self._scopes(changes.scopes, await self._held(row.owner_kind, row.owner_id))
                )
                given |= {"scopes"}
            if "rate_limit" in given:
                row.rate_limit = changes.rate_limit
            await store.save()
            await self._events.announce(ApiKeyUpdated(key_id=key_id, changed=tuple(sorted(given))))
            self._forget()
            return ApiKey.model_validate(row)

    async def rotate(self, key_id: str, rotation: Rotation) -> IssuedApiKey:
        """Replace a key by a new one that may do the same; the old one goes on for the overlap.

        You must hold everything that the key may do, for you are about to know its secret.
        """
        current.require(WRITE)
        _person_asks()
        if rotation.overlap_hours > self._settings.max_overlap_hours:
            raise ExpiryNotAllowed(field="overlap_hours", limit=self._settings.max_overlap_hours)
        until = self._clock.now() + timedelta(hours=rotation.overlap_hours)
        async with self._database.transaction() as session:
            store = ApiKeyStore(session, current.org_id)
            old = await self._steered(store, key_id)
            known = self._rbac.names().intersection(old.scopes)
            scopes = self._scopes(sorted(known), await self._held(old.owner_kind, old.owner_id))
            row, secret = self._make("live" if old.mode == "live" else "test")
            row.name = old.name
            row.owner_kind = old.owner_kind
            row.owner_id = old.owner_id
            row.scopes = list(scopes)
            row.rate_limit = old.rate_limit
            row.expires_at = old.expires_at
            await store.add(row)
            old.expires_at = until = min(until, old.expires_at or until)
            old.replaced_by = row.id
            await store.save()
            await self._events.announce(ApiKeyRotated(key_id=key_id, new_key_id=row.id, until=until))
            self._forget()
        return IssuedApiKey(**ApiKey.model_validate(row).model_dump(), secret=secret)

    async def revoke(self, key_id: str) -> None:
        """Revoke a key, for good: refused at once here, and within five seconds on other replicas."""
        current.require(WRITE)
        async with self._database.transaction() as session:
            store = ApiKeyStore(session, current.org_id)
            row = await self._seen(store, key_id, lock=True)
            if row.owner_kind != "person":
                await self._require_manager(row.owner_kind, row.owner_id)
            if row.revoked_at is not None:
                raise ApiKeyNotActive(key_id=key_id)
            row.revoked_at = self._clock.now()
            await store.save()
            await self._events.announce(ApiKeyRevoked(key_id=key_id, reason="revoked"))
            self._forget()

    # Who may have what

    async def _owner_of(self, new: NewApiKey) -> str:
        if (new.team_id is not None) != (new.owner == "team"):
            raise Invalid("A team's key, and only a team's, names the team.", field="team_id")
        if new.owner == "person":
            return current.user_id
        owner_id = new.team_id or current.org_id
        await self._require_manager(new.owner, owner_id)
        return owner_id

    async def _require_manager(self, owner_kind: str, owner_id: str) -> None:
        if owner_kind == "team":
            await self._orgs.teams.get(owner_id)
            if not current.allows(MANAGE):
                await self._orgs.teams.require_leader(owner_id)
        else:
            current.require(MANAGE)

    async def _held(self, owner_kind: str, owner_id: str) -> frozenset[str]:
        """Give what the caller and the owner of a key both hold."""
        owner = await self._held_by_owner(owner_kind, owner_id, current.org_id)
        held = frozenset[str]() if owner is None else owner.permissions
        caller = current.caller
        return held if caller.kind == "system" else held & caller.permissions

    def _scopes(self, names: Sequence[str], held: frozenset[str]) -> Sequence[str]:
        """Give the declared names of scopes; refuse those that are not held."""
        scopes = {self._rbac.parse(name) for name in names}
        if missing := scopes - held:
            message = f"The key would do more than it may: {', '.join(sorted(missing)[:5])}."
            raise ScopeTooWide(message, missing=sorted(missing)[:20])
        return sorted(scopes)

    async def _held_by_owner(self, owner_kind: str, owner_id: str, org_id: str) -> Effective | None:
        """Give what the owner may do now; none when there is no such owner any more."""
        if owner_kind == "person":
            effective = await self._rbac.effective(owner_id, org_id)
            return effective if effective.roles else None
        if owner_kind == "team":
            held = await self._rbac.permissions_of("owner", org_id, team=True)
            return None if held is None else Effective(permissions=held)
        return Effective(permissions=self._rbac.names())

    async def _seen(self, store: ApiKeyStore, key_id: str, *, lock: bool = False) -> ApiKeyRow:
        """Find a key that the caller may know of; others do not exist for it."""
        row = await store.find(key_id, lock=lock)
        if row is None:
            raise UnknownApiKey(key_id=key_id[:30])
        if current.allows(MANAGE) or row.owner_id == current.caller.user_id:
            return row
        if row.owner_kind == "team":
            try:
                await self._orgs.teams.require_leader(row.owner_id)
            except PermissionMissing as error:
                raise UnknownApiKey(key_id=key_id[:30]) from error
            return row
        raise UnknownApiKey(key_id=key_id[:30])

    async def _steered(self, store: ApiKeyStore, key_id: str) -> ApiKeyRow:
        """Find a working key that the caller may change: their own, or one that no person owns."""
        row = await self._seen(store, key_id, lock=True)
        if row.owner_kind != "person":
            await self._require_manager(row.owner_kind, row.owner_id)
        elif row.owner_id != current.caller.user_id:
            message = "A person's key can be changed by that person only; others can revoke it."
            raise PermissionMissing(message, permission=WRITE.name)
        if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= self._clock.now()):
            raise ApiKeyNotActive(key_id=key_id)
        return row

    def _check_expiry(self, expires_at: datetime | None) -> None:
        now = self._clock.now()
        longest = self._settings.max_days
        latest = now + timedelta(days=longest) if longest else None
        if (expires_at is None and latest) or (
            expires_at is not None and (expires_at <= now or (latest is not None and expires_at > latest))
        ):
            raise ExpiryNotAllowed(field="expires_at", max_days=longest)

    # What becomes of keys when somebody goes

    async def _person_gone(self, envelope: Envelope) -> None:
        await self._revoke_of(str(envelope.data["user_id"]), None, "the owner's account has ended")

    async def _member_gone(self, envelope: Envelope) -> None:
        await self._revoke_of(
            str(envelope.data["user_id"]), envelope.tenant_id, "the owner is no longer a member"
        )

    async def _team_gone(self, envelope: Envelope) -> None:
        await self._revoke_of(str(envelope.data["team_id"]), envelope.tenant_id, "the team is gone")

    async def _organization_gone(self, envelope: Envelope) -> None:  # noqa: ARG002 - a listener's shape
        self._forget()

    async def _revoke_of(self, owner_id: str, org_id: str | None, reason: str) -> None:
        async with self._database.transaction():
            for key_id, org in await self._ring.revoke_of(owner_id, org_id, self._clock.now()):
                await self._events.announce(ApiKeyRevoked(key_id=key_id, reason=reason), org_id=org)
            self._forget()

    # The secret

    def _make(self, mode: Mode) -> tuple[ApiKeyRow, str]:
        secret = self._form.make(mode)
        row = ApiKeyRow(
            id=ids.new("key"),
            org_id=current.org_id,
            digest=self._digest(secret),
            hint=self._form.hint(secret),
            mode=mode,
            created_by=current.caller.user_id,
            created_at=self._clock.now(),
            uses=0,
        )
        return row, secret

    def _digest(self, secret: str) -> str:
        return self._keyring.mac(_PURPOSE, secret.encode()).hex()

    def _due(self) -> bool:
        since = self._clock.monotonic() - self._written
        return since >= self._settings.usage_seconds or len(self._used) >= _MOST_USED

    def forget(self) -> None:
        """Remember no key: another process may have revoked any."""
        self._known.drop()

    def _forget(self) -> None:
        """Remember no key, now and again once the change has committed."""
        self.forget()
        self._database.after_commit(self._known.drop)


def _person_asks() -> None:
    """Refuse keys, which would outlive themselves, and impersonators, whose key would outlast the visit."""
    caller = current.caller
    if caller.kind == "key" or caller.actor_id is not None:
        raise OnlyPeopleMakeKeys
