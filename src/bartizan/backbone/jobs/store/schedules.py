"""Queries about schedules."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bartizan.backbone.jobs.tables import ScheduleRow
from bartizan.foundation.database import insert_into


class ScheduleStore:
    """The schedules of one organization, or (no lane) of all."""

    def __init__(self, session: AsyncSession, lane: str | None = None) -> None:
        self._session = session
        self._lane = lane

    async def ensure(self, values: dict[str, Any]) -> bool:
        """Insert a schedule; tell whether the name was free."""
        added = (
            insert_into(self._session, ScheduleRow)
            .values(values)
            .on_conflict_do_nothing()
            .returning(ScheduleRow.id)
        )
        return await self._session.scalar(added) is not None

    async def all(self, before: str | None, limit: int) -> Sequence[ScheduleRow]:
        """List schedules, newest first."""
        query = self._mine().order_by(ScheduleRow.id.desc()).limit(limit)
        return (await self._session.scalars(query.where(ScheduleRow.id < before) if before else query)).all()

    async def find(self, schedule_id: str) -> ScheduleRow | None:
        """Find one schedule."""
        return await self._session.scalar(self._mine().where(ScheduleRow.id == schedule_id))

    async def named(self, name: str) -> ScheduleRow | None:
        """Find the schedule of that name, and keep others from changing it meanwhile."""
        return await self._session.scalar(self._mine().where(ScheduleRow.name == name).with_for_update())

    async def count(self) -> int:
        """Count them."""
        return await self._session.scalar(select(func.count()).select_from(self._mine().subquery())) or 0

    async def delete(self, schedule_id: str) -> None:
        """Delete one schedule."""
        await self._session.execute(delete(ScheduleRow).where(ScheduleRow.id == schedule_id, *self._scope()))

    async def due(self, now: datetime, fixed: Sequence[str]) -> Sequence[ScheduleRow]:
        """Take those whose time has come. Another worker passes over them until this transaction ends."""
        query = self._firing(fixed).where(ScheduleRow.next_run <= now).order_by(ScheduleRow.next_run)
        return (await self._session.scalars(query.limit(100).with_for_update(skip_locked=True))).all()

    async def next_due(self, fixed: Sequence[str]) -> datetime | None:
        """Tell when the next one fires."""
        query = self._firing(fixed).with_only_columns(func.min(ScheduleRow.next_run))
        return await self._session.scalar(query)

    async def advance(self, row: ScheduleRow, next_run: datetime, fired: datetime | None) -> bool:
        """Move to the next run, if nobody else has: the fence against firing twice."""
        moved = await self._session.scalar(
            update(ScheduleRow)
            .where(ScheduleRow.id == row.id, ScheduleRow.next_run == row.next_run)
            .values(next_run=next_run, last_run=fired or row.last_run)
            .returning(ScheduleRow.id)
            .execution_options(synchronize_session=False)
        )
        return moved is not None

    def _firing(self, fixed: Sequence[str]) -> Select[ScheduleRow]:
        # A worker fires the program's schedules only if its program has them: an older or newer one may not.
        known = or_(ScheduleRow.fixed.is_(False), ScheduleRow.name.in_(fixed))
        return self._mine().where(ScheduleRow.active.is_(True), known)

    def _mine(self) -> Select[ScheduleRow]:
        return select(ScheduleRow).where(*self._scope())

    def _scope(self) -> list[ColumnElement[bool]]:
        return [ScheduleRow.lane == self._lane] if self._lane else []
