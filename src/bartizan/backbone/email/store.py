"""Queries about e-mail; the only file of the room that speaks SQL."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from .tables import EmailMessageRow


class EmailStore:
    """The e-mails of one organization, or (``everywhere``) of all and of the platform."""

    def __init__(self, session: AsyncSession, org_id: str | None = None, *, everywhere: bool = False) -> None:
        self._session = session
        self._org_id = org_id
        self._everywhere = everywhere

    def add(self, row: EmailMessageRow) -> None:
        """Add a message."""
        self._session.add(row)

    async def find(self, message_id: str, *, lock: bool = False) -> EmailMessageRow | None:
        """Find one."""
        query = self._mine().where(EmailMessageRow.id == message_id)
        return await self._session.scalar(query.with_for_update() if lock else query)

    async def page(self, before: str | None, limit: int, status: str | None) -> Sequence[EmailMessageRow]:
        """List, newest first, one more than ``limit``."""
        query = self._mine().order_by(EmailMessageRow.id.desc()).limit(limit + 1)
        if before is not None:
            query = query.where(EmailMessageRow.id < before)
        if status is not None:
            query = query.where(EmailMessageRow.status == status)
        return (await self._session.scalars(query)).all()

    async def purge(self, before: datetime) -> int:
        """Delete finished messages made before a moment."""
        result = await self._session.execute(
            delete(EmailMessageRow)
            .where(EmailMessageRow.status != "queued", EmailMessageRow.created_at < before)
            .returning(EmailMessageRow.id)
        )
        return len(result.all())

    def _mine(self) -> Select[EmailMessageRow]:
        query = select(EmailMessageRow)
        return query if self._everywhere else query.where(EmailMessageRow.org_id == self._org_id)
