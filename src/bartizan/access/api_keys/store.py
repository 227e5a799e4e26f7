"""Queries about API keys; the only file of the room that speaks SQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bartizan.foundation.database import Database

from .tables import ApiKeyRow
from .types import KnownKey


class ApiKeyStore:
    """The keys of one organization."""

    def __init__(self, session: AsyncSession, org_id: str) -> None:
        self._session = session
        self._org_id = org_id

    def _mine(self) -> Select[ApiKeyRow]:
        return select(ApiKeyRow).where(ApiKeyRow.org_id == self._org_id)

    async def add(self, row: ApiKeyRow) -> None:
        self._session.add(row)
        await self._session.flush()

    async def save(self) -> None:
        await self._session.flush()

    async def page(self, owner_id: str | None, after: str | None, limit: int) -> Sequence[ApiKeyRow]:
        query = self._mine().order_by(ApiKeyRow.id.desc()).limit(limit)
        if owner_id is not None:
            query = query.where(ApiKeyRow.owner_id == owner_id)
        if after:
            query = query.where(ApiKeyRow.id < after)
        return (await self._session.scalars(query)).all()

    async def find(self, key_id: str, *, lock: bool = False) -> ApiKeyRow | None:
        query = self._mine().where(ApiKeyRow.id == key_id)
        if lock:
            query = query.with_for_update().execution_options(populate_existing=True)
        return await self._session.scalar(query)

    async def count_working(self, now: datetime) -> int:
        query = (
            select(func.count())
            .select_from(ApiKeyRow)
            .where(
                ApiKeyRow.org_id == self._org_id,
                ApiKeyRow.revoked_at.is_(None),
                ApiKeyRow.expires_at.is_(None) | (ApiKeyRow.expires_at > now),
            )
        )
        return await self._session.scalar(query) or 0


class KeyRing:
    """Questions about keys that come before there is an organization, or that span several."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def look_up(self, digests: Sequence[str]) -> KnownKey | None:
        """Find a key that was not revoked, by the digest of its secret under any of the server's keys."""
        query = select(
            ApiKeyRow.id,
            ApiKeyRow.org_id,
            ApiKeyRow.digest,
            ApiKeyRow.mode,
            ApiKeyRow.owner_kind,
            ApiKeyRow.owner_id,
            ApiKeyRow.scopes,
            ApiKeyRow.rate_limit,
            ApiKeyRow.expires_at,
        ).where(ApiKeyRow.digest.in_(digests), ApiKeyRow.revoked_at.is_(None))
        with self._database.across_organizations():
            async with self._database.reading() as session:
                found = (await session.execute(query)).first()
        if found is None:
            return None
        id_, org_id, digest, mode, owner_kind, owner_id, scopes, rate_limit, expires_at = found
        return KnownKey(
            id=id_,
            org_id=org_id,
            digest=digest,
            mode=mode,
            owner_kind=owner_kind,
            owner_id=owner_id,
            scopes=frozenset(scopes),
            rate_limit=rate_limit,
            expires_at=expires_at,
        )

    async def digest_anew(self, key: KnownKey, digest: str) -> None:
        """Put a key under the server's newest secret key."""
        query = update(ApiKeyRow).where(ApiKeyRow.org_id == key.org_id, ApiKeyRow.id == key.id)
        with self._database.across_organizations():
            async with self._database.transaction() as session:
                await session.execute(query.values(digest=digest))

    async def revoke_of(self, owner_id: str, org_id: str | None, now: datetime) -> Sequence[tuple[str, str]]:
        """Revoke what an owner still has, in one organization or in all; key and organization of each."""
        query = (
            update(ApiKeyRow)
            .where(ApiKeyRow.owner_id == owner_id, ApiKeyRow.revoked_at.is_(None))
            .values(revoked_at=now)
            .returning(ApiKeyRow.id, ApiKeyRow.org_id)
            .execution_options(synchronize_session=False)
        )
        if org_id is not None:
            query = query.where(ApiKeyRow.org_id == org_id)
        with self._database.across_organizations():
            async with self._database.transaction() as session:
                return [(key, org) for key, org in (await session.execute(query)).all()]

    async def record(self, used: Mapping[str, tuple[int, datetime]]) -> None:
        """Add up how often keys were used, and when last."""
        rows = [{"key": key, "count": count, "at": at} for key, (count, at) in used.items()]

        def write(connection: Connection) -> None:
            table: Any = ApiKeyRow.__table__
            connection.execute(
                update(table)
                .where(table.c.id == bindparam("key"))
                .values(uses=table.c.uses + bindparam("count"), last_used_at=bindparam("at")),
                rows,
            )

        with self._database.across_organizations():
            await self._database.write(write)
