"""Queries about sessions; the only file of the room that speaks SQL."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, CursorResult, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from .tables import OwnerLinkRow, RefreshRow, SessionRow

_HOT = select(
    SessionRow.id,
    SessionRow.user_id,
    SessionRow.org_id,
    SessionRow.team_id,
    SessionRow.actor_id,
    SessionRow.rotate,
    SessionRow.digest,
    SessionRow.previous_until,
    SessionRow.last_seen_at,
    SessionRow.expires_at,
)
"""What a request needs, as plain columns: no entity is built on this path."""
_BRIEF = select(
    SessionRow.id,
    SessionRow.user_id,
    SessionRow.org_id,
    SessionRow.actor_id,
    SessionRow.device,
    SessionRow.last_seen_at,
    SessionRow.expires_at,
)


class SessionStore:
    """All sessions: they say which organization somebody acts for, so they lie before the walls."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    # A request's own session

    async def by_token(self, digest: str) -> Any:
        found = _HOT.where(or_(SessionRow.digest == digest, SessionRow.previous_digest == digest))
        return (await self._session.execute(found)).one_or_none()

    async def by_id(self, session_id: str) -> Any:
        return (await self._session.execute(_HOT.where(SessionRow.id == session_id))).one_or_none()

    # Sessions

    async def add(self, row: SessionRow) -> None:
        self._session.add(row)
        await self._session.flush()

    async def save(self) -> None:
        await self._session.flush()

    async def find(self, session_id: str, *, lock: bool = False) -> SessionRow | None:
        query = select(SessionRow).where(SessionRow.id == session_id)
        return await self._session.scalar(query.with_for_update() if lock else query)

    async def of(
        self, user_ids: Collection[str], *, org_id: str | None = None, acting: bool = False
    ) -> Sequence[SessionRow]:
        """List sessions of people, newest first, of one organization or all; also those they act in."""
        whose = SessionRow.user_id.in_(user_ids)
        query = select(SessionRow).where(or_(whose, SessionRow.actor_id.in_(user_ids)) if acting else whose)
        if org_id is not None:
            query = query.where(SessionRow.org_id == org_id)
        return (await self._session.scalars(query.order_by(SessionRow.id.desc()))).all()

    async def page(
        self, after: str | None, limit: int, *, org_id: str | None, user_id: str | None
    ) -> Sequence[SessionRow]:
        query = select(SessionRow).order_by(SessionRow.id.desc()).limit(limit + 1)
        if after is not None:
            query = query.where(SessionRow.id < after)
        if org_id is not None:
            query = query.where(SessionRow.org_id == org_id)
        if user_id is not None:
            query = query.where(SessionRow.user_id == user_id)
        return (await self._session.scalars(query)).all()

    async def brief(self, user_id: str) -> Sequence[Any]:
        """List what signing in needs of a person's sessions, newest first, as plain columns."""
        query = _BRIEF.where(SessionRow.user_id == user_id).order_by(SessionRow.id.desc())
        return (await self._session.execute(query)).all()

    async def end(self, session_ids: Collection[str]) -> None:
        """Delete sessions; their refresh tokens go with them."""
        statement = delete(SessionRow).where(SessionRow.id.in_(session_ids))
        await self._session.execute(statement.execution_options(synchronize_session=False))

    async def leave(self, org_id: str) -> None:
        """Make every session of an organization act for none."""
        statement = update(SessionRow).where(SessionRow.org_id == org_id).values(org_id=None, team_id=None)
        await self._session.execute(statement.execution_options(synchronize_session=False))

    async def mark(self, user_id: str) -> None:
        """Ask for new tokens in the sessions of a person."""
        statement = update(SessionRow).where(SessionRow.user_id == user_id).values(rotate=True)
        await self._session.execute(statement.execution_options(synchronize_session=False))

    async def sweep(self, now: datetime, idle_since: datetime) -> int:
        """Delete what is over."""
        over = or_(SessionRow.expires_at <= now, SessionRow.last_seen_at <= idle_since)
        statement = delete(SessionRow).where(over).execution_options(synchronize_session=False)
        return cast("CursorResult[Any]", await self._session.execute(statement)).rowcount

    # Refresh tokens

    async def add_refresh(self, row: RefreshRow) -> None:
        self._session.add(row)
        await self._session.flush()

    async def family_of(self, digest: str) -> SessionRow | None:
        """Find the session of a refresh token and hold it: one use at a time in each family."""
        family = select(RefreshRow.session_id).where(RefreshRow.digest == digest)
        session_id = await self._session.scalar(family)
        return await self.find(session_id, lock=True) if session_id is not None else None

    async def refresh(self, digests: Collection[str]) -> RefreshRow | None:
        """Find a refresh token as it is now, not as it was before its family was held."""
        query = select(RefreshRow).where(RefreshRow.digest.in_(digests))
        return await self._session.scalar(query.execution_options(populate_existing=True))

    async def forget_refresh(self, session_id: str, before: datetime) -> None:
        old = delete(RefreshRow).where(RefreshRow.session_id == session_id, RefreshRow.expires_at <= before)
        await self._session.execute(old.execution_options(synchronize_session=False))

    # The owner's link

    async def set_owner_link(self, row: OwnerLinkRow) -> None:
        """Keep a new link in the place of any other."""
        await self._session.execute(delete(OwnerLinkRow))
        self._session.add(row)
        await self._session.flush()

    async def owner_link(self, digest: str, now: datetime) -> str | None:
        """Give the id of a link that is still good."""
        good = select(OwnerLinkRow.id).where(OwnerLinkRow.digest == digest, OwnerLinkRow.expires_at > now)
        return await self._session.scalar(good)

    async def use_owner_link(self, digest: str, now: datetime) -> bool:
        """Use a link up; false if somebody else has, or it is too old."""
        good = delete(OwnerLinkRow).where(OwnerLinkRow.digest == digest, OwnerLinkRow.expires_at > now)
        used = await self._session.execute(good.execution_options(synchronize_session=False))
        return bool(cast("CursorResult[Any]", used).rowcount)


def touch(connection: Connection, session_id: str, now: datetime) -> None:
    """Note that a session was used."""
    connection.execute(update(SessionRow).where(SessionRow.id == session_id).values(last_seen_at=now))
