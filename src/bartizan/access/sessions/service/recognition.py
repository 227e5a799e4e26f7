"""Recognizing who comes with a token."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from bartizan.access.identity import IMPERSONATE
from bartizan.access.orgs import Membership
from bartizan.access.sessions.errors import SessionOver, TokenOutdated
from bartizan.access.sessions.store import SessionStore, touch
from bartizan.access.sessions.types import Principal
from bartizan.foundation.context import current

from .room import ACCESS, Room, digest_of

_LONGEST = 4096
_DOTS = 2


class Recognition(Room):
    """Tokens, opaque and signed, become principals."""

    async def authenticate(self, token: str) -> Principal:
        """Tell who an opaque token or an access token lets in, and what they may do at this moment.

        Raises ``SessionOver``, or another kind of ``Unauthenticated``. The session is looked up each time but
        for what was found good within ``cache_seconds``; an ending in this process counts at once.
        """
        if len(token) > _LONGEST:
            raise SessionOver
        digest = digest_of(token)
        if known := self._live.get(digest):
            return known
        generation = self._live.generation
        if token.count(".") == _DOTS:
            principal = await self._by_access_token(token)
        else:
            principal = await self._by_session_token(digest)
        self._live.put(digest, principal, generation)
        return principal

    async def rotate(self) -> str:
        """Replace the token of the session that asks, and give the new one; the old one dies in seconds.

        For doors that keep it in a cookie, when ``Principal.rotate`` says so: its holder's roles changed.
        """
        async with self._database.transaction() as session:
            row = await self._own(SessionStore(session))
            return self._renew(row, grace=True)

    async def _by_session_token(self, digest: str) -> Principal:
        async with self._database.reading() as session:
            row = await SessionStore(session).by_token(digest)
        if row is None:
            raise SessionOver
        if row.digest != digest and not (row.previous_until and self._clock.now() < row.previous_until):
            raise SessionOver
        return await self._principal(row)

    async def _by_access_token(self, token: str) -> Principal:
        claims = await self._signing_keys.verify(token, typ=ACCESS)
        async with self._database.reading() as session:
            row = await SessionStore(session).by_id(str(claims.get("sid", ""))[:30])
        if row is None or claims.get("sub") != row.user_id:
            raise SessionOver
        if claims.get("org") != row.org_id:
            raise TokenOutdated
        expires = datetime.fromtimestamp(claims["exp"], UTC)
        principal = await self._principal(row)
        return replace(principal, expires_at=min(principal.expires_at, expires), rotate=False)

    async def _principal(self, row: Any) -> Principal:
        if self._is_over(row):
            raise SessionOver
        wanted = [row.user_id] if row.actor_id is None else [row.user_id, row.actor_id]
        people = await self._identity.people(wanted)
        user = people.get(row.user_id)
        if user is None or not user.is_active:
            raise SessionOver
        membership = await self._membership(row)
        permissions = membership.permissions if membership else frozenset[str]()
        if row.actor_id is not None:
            actor = people.get(row.actor_id)
            if actor is None or not actor.is_active:
                raise SessionOver
            if not actor.is_operator:
                permissions &= await self._allowed_to_act(row)
        await self._touch(row)
        return Principal(
            session_id=row.id,
            user_id=user.id,
            email=user.email,
            org_id=membership.org_id if membership else None,
            team_id=membership.team_id if membership else None,
            roles=membership.roles if membership else frozenset(),
            permissions=permissions,
            operator=user.is_operator and row.actor_id is None,
            traits=frozenset(user.traits),
            actor_id=row.actor_id,
            expires_at=min(row.expires_at, self._clock.now() + timedelta(hours=self._settings.idle_hours)),
            rotate=bool(row.rotate),
        )

    async def _membership(self, row: Any) -> Membership | None:
        """Find how the person stands where the session acts; what they have left counts for nothing."""
        if row.org_id is None:
            return None
        found = await self._orgs.membership(row.user_id, row.org_id, row.team_id)
        if found is None and row.team_id is not None:
            found = await self._orgs.membership(row.user_id, row.org_id)
        return found if found is not None and found.status == "active" else None

    async def _allowed_to_act(self, row: Any) -> frozenset[str]:
        """Give what the actor may do themselves: acting as somebody never adds to it."""
        effective = await self._rbac.effective(row.actor_id, row.org_id) if row.org_id else None
        if effective is None or IMPERSONATE.name not in effective.permissions:
            raise SessionOver
        return effective.permissions

    async def _touch(self, row: Any) -> None:
        now = self._clock.now()
        if now - row.last_seen_at >= timedelta(seconds=self._settings.touch_seconds):
            with current.acting_as(None):
                await self._database.write(partial(touch, session_id=row.id, now=now))
