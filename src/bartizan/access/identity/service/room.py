"""What all parts of the service share."""

import asyncio
import hashlib
import math
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

from bartizan.access.identity.errors import NotWhileImpersonating, UnknownUser
from bartizan.access.identity.settings import IdentitySettings
from bartizan.access.identity.store import LinkStore, UserStore
from bartizan.access.identity.tables import LinkRow, UserRow
from bartizan.access.identity.types import Post, User
from bartizan.backbone.events import Events
from bartizan.foundation import ids
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import InPersonOnly, current
from bartizan.foundation.database import Database
from bartizan.foundation.http import Outbound

from .lockout import Lockout
from .passwords import Passwords
from .policy import Policy

VERIFY = "verify"
RESET = "reset"


class Room:
    """The room's means, and the few steps that several of its parts take."""

    def __init__(
        self,
        database: Database,
        events: Events,
        settings: IdentitySettings | None = None,
        *,
        email: Post,
        outbound: Outbound | None = None,
        clock: Clock | None = None,
        pages: str = "",
        production: bool = False,
    ) -> None:
        """Send mail through ``email``; its links begin with ``pages``, the address of our own pages."""
        self._database = database
        self._events = events
        self._settings = settings or IdentitySettings()
        self._email = email
        self._clock = clock or Clock()
        self._pages = pages.rstrip("/")
        self._passwords = Passwords(self._settings)
        self._policy = Policy(self._settings, events, outbound)
        self._lockout = Lockout(database, events, self._settings, clock=self._clock)
        hides = self._settings.hide_accounts
        self.hides_accounts = production if hides is None else hides
        """Whether answers keep to themselves who has an account."""
        verify = email.delivers if self._settings.verify_email is None else self._settings.verify_email
        self.verifies_email = verify or self.hides_accounts or self._settings.registration == "domain"
        """Whether nobody can sign in with an address that was not confirmed."""

    def close(self) -> None:
        """Let go of threads and files."""
        self._passwords.close()
        self._policy.close()

    async def _user(self, user_id: str) -> UserRow:
        async with self._database.transaction() as session:
            row = await UserStore(session).find(user_id, lock=True)
        if row is None:
            raise UnknownUser(user_id=user_id)
        return row

    def _record(self, row: UserRow) -> User:
        """Turn a row into what is shown, with the traits that follow from the rules."""
        user = User.model_validate(row)
        traits = set(row.traits)
        domain = row.email.rpartition("@")[2] if row.email_verified_at else None
        department = (row.department or "").casefold()
        for rule in self._settings.trait_rules:
            named = rule.domain is not None or rule.department is not None
            if (
                named
                and rule.domain in {None, domain}
                and (rule.department is None or rule.department.casefold() == department)
            ):
                traits.update(rule.traits)
        return user.model_copy(update={"traits": sorted(traits)})

    async def _mail_link(self, row: UserRow, purpose: str) -> bool:
        """Mail a link that works once, unless one of its kind has just been mailed; say whether it was."""
        now = self._clock.now()
        token = secrets.token_urlsafe(32)
        hours, minutes = self._settings.verification_hours, self._settings.reset_minutes
        lasts = timedelta(hours=hours) if purpose == VERIFY else timedelta(minutes=minutes)
        async with self._database.transaction() as session:
            links = LinkStore(session)
            before = await links.newest(row.id, purpose)
            pause = timedelta(seconds=self._settings.mail_pause)
            if before is not None and before.email == row.email and now < before.created_at + pause:
                return False
            await links.sweep(now)
            await links.replace(
                LinkRow(
                    id=ids.new("tok"),
                    user_id=row.id,
                    purpose=purpose,
                    email=row.email,
                    digest=digest_of(token),
                    created_at=now,
                    expires_at=now + lasts,
                )
            )
            origin = current.origin
            await self._email.send(
                to=row.email,
                template="verify_email" if purpose == VERIFY else "reset_password",
                data={
                    "url": f"{self._pages}/{purpose}?token={token}",
                    "name": row.full_name or "",
                    "expires": f"{now + lasts:%d %B %Y, %H:%M} UTC",
                    "ip": (origin.ip if origin else None) or "",
                },
            )
        return True

    @asynccontextmanager
    async def evenly(self, started: float | None = None) -> AsyncGenerator[None]:
        """Let what was ``started`` take a round number of tenths of a second: its length tells nothing."""
        step = self._settings.even_out
        if started is None:
            started = time.perf_counter()
        try:
            yield
        finally:
            if step:
                taken = time.perf_counter() - started
                await asyncio.sleep(math.ceil(taken / step) * step - taken)


def digest_of(token: str) -> str:
    """Make what is stored of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def not_impersonating() -> None:
    """Refuse somebody who acts as the account's owner, and API keys."""
    if current.caller.actor_id is not None:
        raise NotWhileImpersonating
    if current.caller.kind == "key":
        raise InPersonOnly
