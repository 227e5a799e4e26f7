"""Queries about limits; the only file of the room that speaks SQL."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from sqlalchemy import Select, delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from bartizan.foundation import ids
from bartizan.foundation.database import Database, insert_into
from bartizan.foundation.errors import Conflict

from .tables import AlertRow, LimitRow, ViolationRow
from .types import Hit


class LimitStore:
    """The limits that were set in one organization, and what they refused."""

    def __init__(self, session: AsyncSession, org_id: str) -> None:
        self._session = session
        self._org_id = org_id

    async def all(self) -> Sequence[LimitRow]:
        query = self._mine().order_by(LimitRow.scope, LimitRow.target)
        return (await self._session.scalars(query)).all()

    async def find(self, limit_id: str) -> LimitRow | None:
        return await self._session.scalar(self._mine().where(LimitRow.id == limit_id).with_for_update())

    async def of(self, scope: str, target: str) -> LimitRow | None:
        query = self._mine().where(LimitRow.scope == scope, LimitRow.target == target)
        return await self._session.scalar(query.with_for_update())

    async def count(self) -> int:
        query = select(func.count()).select_from(LimitRow).where(LimitRow.org_id == self._org_id)
        return await self._session.scalar(query) or 0

    async def add(self, row: LimitRow) -> None:
        self._session.add(row)
        try:
            await self._session.flush()
        except IntegrityError as error:
            message = "Somebody else set this limit at the same moment; read it and try again."
            raise Conflict(message) from error

    async def save(self) -> None:
        await self._session.flush()

    async def delete(self, row: LimitRow) -> None:
        await self._session.delete(row)
        await self._session.flush()

    async def violations(
        self, scope: str | None, target: str | None, since: datetime | None, before: str | None, limit: int
    ) -> Sequence[ViolationRow]:
        query = select(ViolationRow).where(ViolationRow.org_id == self._org_id)
        if scope is not None:
            query = query.where(ViolationRow.scope == scope)
        if target is not None:
            query = query.where(ViolationRow.target == target)
        if since is not None:
            query = query.where(ViolationRow.minute >= since)
        if before is not None:
            query = query.where(ViolationRow.id < before)
        return (await self._session.scalars(query.order_by(ViolationRow.id.desc()).limit(limit))).all()

    def _mine(self) -> Select[LimitRow]:
        return select(LimitRow).where(LimitRow.org_id == self._org_id)


class EveryLimit:
    """Questions about limits that come before there is an organization, or that span several."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, org_id: str) -> Sequence[tuple[str, str, str]]:
        """Give scope, target and rate of every limit set in an organization."""
        query = select(LimitRow.scope, LimitRow.target, LimitRow.rate).where(LimitRow.org_id == org_id)
        with self._database.across_organizations():
            async with self._database.reading() as session:
                return [(scope, target, rate) for scope, target, rate in await session.execute(query)]

    async def record(self, hits: Mapping[Hit, tuple[int, str]]) -> Mapping[tuple[str, str, datetime], int]:
        """Add up refusals; give how many there are now by organization, scope and minute."""
        with self._database.across_organizations():
            async with self._database.transaction() as session:
                statement = insert_into(session, ViolationRow)
                # In one order everywhere, so that two processes never wait for each other.
                await session.execute(
                    statement.on_conflict_do_update(
                        index_elements=["org_id", "minute", "scope", "target"],
                        set_={
                            "count": ViolationRow.count + statement.excluded.count,
                            "rate": statement.excluded.rate,
                        },
                    ),
                    [
                        {**asdict(hit), "id": ids.new("lmv"), "count": hits[hit][0], "rate": hits[hit][1]}
                        for hit in sorted(hits)
                    ],
                )
                sums: dict[tuple[str, str, datetime], int] = {}
                for org_id, scope, minute in {(hit.org_id, hit.scope, hit.minute) for hit in hits}:
                    total = await session.scalar(
                        select(func.sum(ViolationRow.count)).where(
                            ViolationRow.org_id == org_id,
                            ViolationRow.scope == scope,
                            ViolationRow.minute == minute,
                        )
                    )
                    sums[org_id, scope, minute] = int(total or 0)
                return sums

    async def my_turn(self, org_id: str, scope: str, now: datetime, seconds: float) -> bool:
        """Tell whether to announce now: true for one process, once in so many seconds."""
        with self._database.across_organizations():
            async with self._database.transaction() as session:
                statement = insert_into(session, AlertRow).values(
                    id=ids.new("lma"), org_id=org_id, scope=scope, told_at=now
                )
                told = await session.execute(
                    statement.on_conflict_do_update(
                        index_elements=["org_id", "scope"],
                        set_={"told_at": now},
                        where=AlertRow.told_at <= now - timedelta(seconds=seconds),
                    ).returning(AlertRow.id)
                )
                return told.first() is not None

    async def keep_newest(self, org_ids: Sequence[str], most: int) -> None:
        """Delete the oldest refusals of these organizations beyond so many."""
        with self._database.across_organizations():
            async with self._database.transaction() as session:
                for org_id in org_ids:
                    oldest = await session.scalar(
                        select(ViolationRow.id)
                        .where(ViolationRow.org_id == org_id)
                        .order_by(ViolationRow.id.desc())
                        .offset(most - 1)
                        .limit(1)
                    )
                    if oldest is not None:
                        await session.execute(
                            delete(ViolationRow).where(
                                ViolationRow.org_id == org_id, ViolationRow.id < oldest
                            )
                        )

    async def drop(self, org_id: str) -> None:
        """Delete all of an organization that is gone."""
        with self._database.across_organizations():
            async with self._database.transaction() as session:
                for table in (LimitRow, ViolationRow, AlertRow):
                    await session.execute(delete(table).where(table.org_id == org_id))
