"""The first owner: whoever can run a command on the server may make one, by a link."""

import secrets
from datetime import timedelta

from bartizan.access.sessions.errors import OwnerLinkNotGood
from bartizan.access.sessions.events import OwnerLinkMade
from bartizan.access.sessions.store import SessionStore
from bartizan.access.sessions.tables import OwnerLinkRow
from bartizan.foundation import ids
from bartizan.foundation.context import current

from .room import Room, digest_of


class Ownership(Room):
    """How an installation gets its first operator."""

    async def owner_link(self, minutes: int = 30) -> str:
        """Make the address that turns whoever opens it first into an operator with an organization.

        It works once, for ``minutes``, and replaces the one before. Operators and the system only.
        """
        current.require_operator()
        token, now = secrets.token_urlsafe(32), self._clock.now()
        row = OwnerLinkRow(
            id=ids.new("tok"),
            digest=digest_of(token),
            created_at=now,
            expires_at=now + timedelta(minutes=minutes),
        )
        async with self._database.transaction() as session:
            await SessionStore(session).set_owner_link(row)
            await self._events.announce(OwnerLinkMade(minutes=minutes), org_id=None)
        return f"{self._pages}/owner?token={token}"

    async def _look_at_owner_link(self, token: str) -> None:
        """Refuse a link that is no good before anything costly is done for it."""
        async with self._database.reading() as session:
            if await SessionStore(session).owner_link(digest_of(token), self._clock.now()) is None:
                raise OwnerLinkNotGood

    async def _use_owner_link(self, token: str) -> None:
        async with self._database.transaction() as session:
            if not await SessionStore(session).use_owner_link(digest_of(token), self._clock.now()):
                raise OwnerLinkNotGood
