"""Queries about keys of requests; the only file of the room that speaks SQL."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, Select, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bartizan.foundation.database import Database, insert_into

from .tables import IdempotencyRow
from .types import Claim, Owner

_BATCH = 500


class IdempotencyStore:
    """The keys of one caller in one organization, or in none."""

    def __init__(self, session: AsyncSession, owner: Owner) -> None:
        self._session = session
        self._owner = owner

    def _mine(self) -> Select[IdempotencyRow]:
        return select(IdempotencyRow).where(
            IdempotencyRow.org_id == self._owner.organization,
            IdempotencyRow.caller_id == self._owner.caller_id,
        )

    async def add(self, **columns: Any) -> bool:
        """Add a row, unless there is one of that id; tell whether it was added."""
        insert = insert_into(self._session, IdempotencyRow).values(
            org_id=self._owner.organization, caller_id=self._owner.caller_id, **columns
        )
        return bool(_count(await self._session.execute(insert.on_conflict_do_nothing())))

    async def find(self, row_id: str) -> IdempotencyRow | None:
        query = self._mine().where(IdempotencyRow.id == row_id).execution_options(populate_existing=True)
        return await self._session.scalar(query)

    async def change(self, row_id: str, run: str, **columns: Any) -> bool:
        """Change a row that is still this run's; tell whether it was."""
        query = (
            update(IdempotencyRow)
            .where(
                IdempotencyRow.id == row_id,
                IdempotencyRow.org_id == self._owner.organization,
                IdempotencyRow.caller_id == self._owner.caller_id,
                IdempotencyRow.token == run,
            )
            .values(**columns)
            .execution_options(synchronize_session=False)
        )
        return bool(_count(await self._session.execute(query)))

    async def remove(self, row_id: str, token: str) -> None:
        """Remove a row that is still this run's and is not done."""
        query = delete(IdempotencyRow).where(
            IdempotencyRow.id == row_id,
            IdempotencyRow.org_id == self._owner.organization,
            IdempotencyRow.caller_id == self._owner.caller_id,
            IdempotencyRow.token == token,
            IdempotencyRow.done.is_(False),
        )
        await self._session.execute(query.execution_options(synchronize_session=False))

    async def trim(self, most: int) -> None:
        """Remove the oldest finished rows beyond so many."""
        oldest = (
            select(IdempotencyRow.created_at)
            .where(
                IdempotencyRow.org_id == self._owner.organization,
                IdempotencyRow.caller_id == self._owner.caller_id,
            )
            .order_by(IdempotencyRow.created_at.desc())
            .offset(most)
            .limit(1)
        )
        if (before := await self._session.scalar(oldest)) is None:
            return
        query = delete(IdempotencyRow).where(
            IdempotencyRow.org_id == self._owner.organization,
            IdempotencyRow.caller_id == self._owner.caller_id,
            IdempotencyRow.created_at <= before,
            IdempotencyRow.done.is_(True),
        )
        await self._session.execute(query.execution_options(synchronize_session=False))


class EveryKey:
    """Keys of everybody: leases that live processes hold, and what has had its time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def renew(self, claims: Collection[Claim], until: datetime) -> None:
        """Prolong leases."""
        query = (
            update(IdempotencyRow)
            .where(
                IdempotencyRow.id.in_([claim.id for claim in claims]),
                IdempotencyRow.token.in_([claim.token for claim in claims]),
                IdempotencyRow.done.is_(False),
            )
            .values(lease_until=until)
            .execution_options(synchronize_session=False)
        )
        with self._database.across_organizations():
            async with self._database.transaction() as session:
                await session.execute(query)

    async def prune(self, now: datetime) -> int:
        """Remove some rows that have had their time; tell how many. A request under way is left alone."""
        over = (IdempotencyRow.expires_at < now, IdempotencyRow.done | (IdempotencyRow.lease_until < now))
        some = select(IdempotencyRow.id).where(*over).limit(_BATCH)
        with self._database.across_organizations():
            async with self._database.transaction() as session:
                found = (await session.scalars(some)).all()
                query = delete(IdempotencyRow).where(IdempotencyRow.id.in_(found), *over)
                await session.execute(query.execution_options(synchronize_session=False))
        return len(found)


def _count(result: Any) -> int:
    return cast("CursorResult[Any]", result).rowcount
