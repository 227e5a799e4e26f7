"""Queries about signing keys; the only file of the room that speaks SQL."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bartizan.foundation.database import insert_into

from .tables import SigningKeyRow
from .types import SigningKey

_COLUMNS = tuple(SigningKeyRow.__table__.c)


class SigningKeyStore:
    """The signing keys of the house; they belong to no organization."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def all(self) -> Sequence[SigningKey]:
        """Give every key, the newest first."""
        rows = await self._session.execute(select(*_COLUMNS).order_by(SigningKeyRow.generation.desc()))
        return [SigningKey(**row) for row in rows.mappings()]

    async def add(self, key: SigningKey) -> None:
        """Add a key, unless another replica has just added one of the same generation."""
        insert = insert_into(self._session, SigningKeyRow).values(**asdict(key))
        await self._session.execute(insert.on_conflict_do_nothing())

    async def end(self, before: int, at: datetime) -> None:
        """Let every key older than generation ``before`` verify only until ``at``."""
        await self._session.execute(
            update(SigningKeyRow)
            .where(
                SigningKeyRow.generation < before,
                SigningKeyRow.ends_at.is_(None) | (SigningKeyRow.ends_at > at),
            )
            .values(ends_at=at)
        )

    async def reseal(self, kid: str, sealed: bytes) -> None:
        """Keep the private half under another seal."""
        await self._session.execute(
            update(SigningKeyRow).where(SigningKeyRow.kid == kid).values(sealed=sealed)
        )

    async def remove(self, kid: str) -> None:
        """Remove one key."""
        await self._session.execute(delete(SigningKeyRow).where(SigningKeyRow.kid == kid))

    async def forget(self, ended_before: datetime) -> None:
        """Remove keys that verify nothing any more."""
        await self._session.execute(delete(SigningKeyRow).where(SigningKeyRow.ends_at < ended_before))
