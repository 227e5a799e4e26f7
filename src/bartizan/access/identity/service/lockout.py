"""Failed attempts: counted in the database, so that all replicas together allow only so many."""

import hashlib
import ipaddress
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil

from bartizan.access.identity.errors import SignInLocked
from bartizan.access.identity.events import SignInBlocked, SignInFailed
from bartizan.access.identity.settings import IdentitySettings
from bartizan.access.identity.store import AttemptStore
from bartizan.access.identity.tables import AttemptRow
from bartizan.access.identity.types import normal_login
from bartizan.backbone.events import Events
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import current
from bartizan.foundation.database import Database

_TRUST = timedelta(days=30)
_RENEWED = timedelta(days=1)
"""How old trust gets before a success renews it: most sign-ins write nothing here."""
_SWEEP_ONE_IN = 64


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt that is under way."""

    login: str
    address: str | None
    pair: str | None
    trusted: bool
    """Whether this login succeeded from this address before: then nobody elsewhere can lock it out."""
    last: bool = False
    """Whether the login is locked as soon as this attempt fails."""
    clean: bool = False
    """Whether nothing has to be forgiven when it succeeds."""


class Lockout:
    """Five failures in a quarter of an hour lock a login, or an address, for a while that doubles.

    Logins that nobody has are counted alike, by their text: a lock says nothing about an account. An attempt
    on a login is counted before the password is looked at and forgiven when it is right; hundreds at once
    are so held to the same five.
    """

    def __init__(
        self, database: Database, events: Events, settings: IdentitySettings, *, clock: Clock
    ) -> None:
        self._database = database
        self._events = events
        self._settings = settings
        self._clock = clock

    async def begin(self, login: str) -> Attempt:
        """Count an attempt on a login, or refuse it with ``retry_after`` in seconds."""
        login = normal_login(login)
        origin = current.origin
        address = _network(origin.ip if origin else None)
        attempt = Attempt(
            login=_key("login", login),
            address=_key("address", address) if address else None,
            pair=_key("pair", login, address) if address else None,
            trusted=False,
        )
        now = self._clock.now()
        if attempt.pair is not None:
            async with self._database.reading() as session:
                pair = await AttemptStore(session).find(attempt.pair)
            if pair is not None and pair.failures == 0 and pair.locked_until is None:
                clean = pair.forget_at > now + _TRUST - _RENEWED
                if pair.forget_at > now:
                    return replace(attempt, trusted=True, clean=clean)
        async with self._database.transaction() as session:
            store = AttemptStore(session)
            await store.ensure(attempt.login, now, self._forget(now))
            rows = await store.some([key for key in (attempt.login, attempt.address, attempt.pair) if key])
            pair = rows.get(attempt.pair or "")
            trusted = pair is not None and pair.forget_at > now
            relevant = [pair] if trusted else [rows.get(attempt.login), rows.get(attempt.address or "")]
            until = max((row.locked_until for row in relevant if row and row.locked_until), default=now)
            if until > now:
                raise SignInLocked(retry_after=ceil((until - now).total_seconds()))
            locks = not trusted and self._count(rows[attempt.login], self._settings.max_failures, now)
        return replace(attempt, trusted=trusted, last=locks)

    async def fail(self, attempt: Attempt, *, user_id: str | None, reason: str) -> None:
        """Keep the attempt as a failure."""
        now = self._clock.now()
        key = attempt.pair if attempt.trusted else attempt.address
        allowed = self._settings.max_failures if attempt.trusted else self._settings.max_failures_per_address
        async with self._database.transaction() as session:
            store = AttemptStore(session)
            await self._events.announce(SignInFailed(user_id=user_id, reason=reason), org_id=None)
            if attempt.last:
                await self._blocked("login", await store.find(attempt.login), now)
            if key is not None:
                await store.ensure(key, now, self._forget(now))
                row = (await store.some([key]))[key]
                if self._count(row, allowed, now):
                    await self._blocked("login" if attempt.trusted else "address", row, now)
            if secrets.randbelow(_SWEEP_ONE_IN) == 0:
                await store.sweep(now, self._settings.max_tracked)

    async def succeed(self, attempt: Attempt) -> None:
        """Forgive the login, and trust it from this address from now on.

        The address itself is not forgiven: else who has one account of their own could try everybody else's.
        """
        if attempt.clean:
            return
        now = self._clock.now()
        async with self._database.transaction() as session:
            store = AttemptStore(session)
            if not attempt.trusted:
                await store.forget(attempt.login)
            if attempt.pair is not None:
                await store.trust(attempt.pair, now, now + _TRUST)

    async def sweep(self) -> None:
        """Forget what is old enough, and the oldest beyond the limit."""
        async with self._database.transaction() as session:
            await AttemptStore(session).sweep(self._clock.now(), self._settings.max_tracked)

    def _count(self, row: AttemptRow, allowed: int, now: datetime) -> bool:
        settings = self._settings
        if now - row.since > timedelta(seconds=settings.failure_window):
            row.failures, row.since = 0, now
        if row.forget_at <= now:
            row.locks = 0
        row.failures += 1
        row.forget_at = max(row.forget_at, self._forget(now))
        if row.failures < allowed:
            return False
        lasts = min(
            settings.first_lock << min(row.locks, 20), max(settings.longest_lock, settings.first_lock)
        )
        until = now + timedelta(seconds=lasts)
        row.failures, row.since, row.locks, row.locked_until = 0, now, row.locks + 1, until
        row.forget_at = max(row.forget_at, self._forget(until))
        return True

    def _forget(self, since: datetime) -> datetime:
        return since + timedelta(seconds=max(self._settings.failure_window, self._settings.longest_lock))

    async def _blocked(self, scope: str, row: AttemptRow | None, now: datetime) -> None:
        if row is not None and row.locked_until is not None and row.locked_until > now:
            seconds = ceil((row.locked_until - now).total_seconds())
            await self._events.announce(SignInBlocked(scope=scope, seconds=seconds), org_id=None)


def _key(kind: str, *parts: str) -> str:
    return f"{kind}:{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()}"


def _network(address: str | None) -> str | None:
    """Write the address that is counted: in IPv6 a whole /64, since one subscriber has that many."""
    if address is None:
        return None
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
