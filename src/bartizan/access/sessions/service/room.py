"""What all parts of the service share: how a session starts, gets its tokens, and ends."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bartizan.access.identity import Identity, Post, User
from bartizan.access.orgs import Orgs
from bartizan.access.rbac import Rbac
from bartizan.access.sessions.errors import NoSession, SessionOver
from bartizan.access.sessions.events import SessionEnded, SessionStarted
from bartizan.access.sessions.settings import SessionsSettings
from bartizan.access.sessions.store import SessionStore
from bartizan.access.sessions.tables import RefreshRow, SessionRow
from bartizan.access.sessions.types import Tokens
from bartizan.backbone.events import Events
from bartizan.foundation import ids
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import Caller, Origin, current
from bartizan.foundation.crypto import Keyring, SigningKeys, tokens
from bartizan.foundation.database import Database

from .devices import name_of
from .live import Live

ACCESS = "at+jwt"
_CSRF = "sessions.csrf"
_AGENT = 400


@dataclass(frozen=True, slots=True)
class Opened:
    """A session with the tokens that only its holder will know."""

    row: SessionRow
    session_token: str
    refresh_token: str | None = None


class Room:
    """The room's means, and the steps that its parts take together."""

    def __init__(
        self,
        database: Database,
        events: Events,
        *,
        identity: Identity,
        rbac: Rbac,
        orgs: Orgs,
        keyring: Keyring,
        signing_keys: SigningKeys,
        settings: SessionsSettings | None = None,
        clock: Clock | None = None,
        email: Post | None = None,
        pages: str = "",
        secure_cookies: bool = False,
    ) -> None:
        """Mail about new devices through ``email``, with links that begin with ``pages``."""
        self._database = database
        self._events = events
        self._identity = identity
        self._rbac = rbac
        self._orgs = orgs
        self._keyring = keyring
        self._signing_keys = signing_keys
        self._settings = settings or SessionsSettings()
        self._clock = clock or Clock()
        self._email = email
        self._pages = pages.rstrip("/")
        self._live = Live(self._clock, self._settings.cache_seconds)
        self.secure_cookies = secure_cookies
        """Whether cookies travel over TLS only."""
        self._listen()

    def _listen(self) -> None:
        """Hear what ends sessions; the part about endings does."""

    def csrf_token(self, session_id: str) -> str:
        """Give what the pages of a session send back as X-CSRF-Token: a proof that they are ours."""
        return urlsafe_b64encode(self._keyring.mac(_CSRF, session_id.encode())).decode().rstrip("=")

    def check_csrf(self, session_id: str, token: str) -> bool:
        """Tell whether a page that sent ``token`` was given it in this session."""
        macs = self._keyring.macs(_CSRF, session_id.encode())
        known = [urlsafe_b64encode(mac).decode().rstrip("=") for mac in macs]
        given = token.encode("utf-8", "replace")
        return any([tokens.same(one.encode(), given) for one in known])  # noqa: C419 - all of them, in constant time

    async def _start(
        self,
        user: User,
        *,
        method: str,
        org_id: str | None,
        lasts: timedelta | None = None,
        actor: Caller | None = None,
        reason: str | None = None,
    ) -> Opened:
        """Add a session in the open transaction; one that lasts but minutes gets no refresh token."""
        now, origin = self._clock.now(), current.origin
        agent = (origin.user_agent or "")[:_AGENT] if origin else ""
        token = tokens.make()
        row = SessionRow(
            id=ids.new("ses"),
            user_id=user.id,
            digest=digest_of(token),
            previous_digest=None,
            previous_until=None,
            rotate=False,
            org_id=org_id,
            team_id=None,
            method=method,
            device=name_of(agent),
            user_agent=agent or None,
            ip=origin.ip[:64] if origin and origin.ip else None,
            actor_id=actor.user_id if actor else None,
            actor_session_id=actor.session_id if actor else None,
            reason=reason,
            created_at=now,
            last_seen_at=now,
            expires_at=now + (lasts or timedelta(days=self._settings.absolute_days)),
        )
        async with self._database.transaction() as session:
            store = SessionStore(session)
            if actor is None:
                await self._make_room(store, user, row, origin)
            await store.add(row)
            refresh = None if actor else await self._add_refresh(store, row, tokens.make(), now)
            if actor is None:
                fact = SessionStarted(session_id=row.id, user_id=user.id, method=method)
                with current.acting_as(_signed_in(user, row)):
                    await self._events.announce(fact, org_id=org_id)
        return Opened(row, token, refresh)

    async def _make_room(
        self, store: SessionStore, user: User, row: SessionRow, origin: Origin | None
    ) -> None:
        """End what is over or too much, and tell the person about a device that is new among theirs."""
        theirs = await store.brief(user.id)
        over = [one for one in theirs if self._is_over(one)]
        alive = [one for one in theirs if one not in over]
        crowded = [one for one in alive if one.actor_id is None][self._settings.max_per_person - 1 :]
        await self._end(store, over, "expired")
        await self._end(store, crowded, "crowded")
        familiar = any(one.device == row.device for one in alive)
        if self._email is None or not self._settings.notify_new_devices or not alive or familiar:
            return
        await self._email.send(
            to=user.email,
            template="new_sign_in",
            data={
                "at": f"{row.created_at:%d %B %Y, %H:%M} UTC",
                "ip": (origin.ip if origin else None) or "",
                "device": row.device,
                "url": f"{self._pages}/account",
            },
        )

    async def _add_refresh(self, store: SessionStore, row: SessionRow, token: str, now: datetime) -> str:
        until = min(now + timedelta(days=self._settings.refresh_days), row.expires_at)
        await store.add_refresh(
            RefreshRow(
                id=ids.new("rft"),
                session_id=row.id,
                digest=digest_of(token),
                created_at=now,
                expires_at=until,
                replaced_at=None,
            )
        )
        return token

    async def _tokens(self, opened: Opened) -> Tokens:
        """Sign the access token of a session; after the commit, since signing may need the database."""
        row = opened.row
        effective = await self._rbac.effective(row.user_id, row.org_id, row.team_id) if row.org_id else None
        left = int((row.expires_at - self._clock.now()).total_seconds())
        lifetime = max(1, min(self._settings.access_minutes * 60, left))
        claims: dict[str, Any] = {
            "sub": row.user_id,
            "sid": row.id,
            "org": row.org_id,
            "roles": sorted(effective.roles) if effective else [],
        }
        if row.actor_id is not None:
            claims["act"] = {"sub": row.actor_id}  # RFC 8693, section 4.1
        return Tokens(
            access_token=await self._signing_keys.sign(claims, typ=ACCESS, lifetime=lifetime),
            expires_in=lifetime,
            refresh_token=opened.refresh_token,
            session_token=opened.session_token or None,
            csrf_token=self.csrf_token(row.id),
            session_id=row.id,
            user_id=row.user_id,
            org_id=row.org_id,
        )

    def _renew(self, row: SessionRow, *, grace: bool = False) -> str:
        """Give a session another token; the old one is dead, or dies in seconds where ``grace`` is given."""
        token = tokens.make()
        row.previous_digest = row.digest if grace else None
        until = self._clock.now() + timedelta(seconds=self._settings.refresh_window)
        row.previous_until = until if grace else None
        row.digest = digest_of(token)
        row.rotate = False
        self._forget(lambda: self._live.drop(lambda one: one.session_id == row.id))
        return token

    async def _end(self, store: SessionStore, rows: Sequence[Any], reason: str) -> None:
        """End sessions in the open transaction; their tokens are refused here as soon as it commits."""
        if not rows:
            return
        ended = {row.id for row in rows}
        await store.end(ended)
        for row in rows:
            fact = SessionEnded(session_id=row.id, user_id=row.user_id, reason=reason)
            await self._events.announce(fact, org_id=row.org_id)
        self._forget(lambda: self._live.drop(lambda one: one.session_id in ended))

    def _forget(self, drop: Any) -> None:
        """Forget who was let in, as soon as the open transaction commits."""
        self._database.after_commit(drop)

    def _is_over(self, row: Any) -> bool:
        now = self._clock.now()
        return bool(row.expires_at <= now or row.last_seen_at <= self._idle_since())

    def _idle_since(self) -> datetime:
        return self._clock.now() - timedelta(hours=self._settings.idle_hours)

    async def _own(self, store: SessionStore, *, lock: bool = True) -> SessionRow:
        """Find the session that asks."""
        session_id = current.caller.session_id
        if session_id is None:
            raise NoSession
        row = await store.find(session_id, lock=lock)
        if row is None:
            raise SessionOver
        return row


def digest_of(token: str) -> str:
    """Make what is stored of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _signed_in(user: User, row: SessionRow) -> Caller:
    """Name the person for the record: the request that signs them in came from nobody yet."""
    return Caller(id=user.id, kind="user", user_id=user.id, org_id=row.org_id, session_id=row.id)
