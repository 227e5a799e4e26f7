"""Queries about secrets; the only file of the room that speaks SQL."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from bartizan.foundation.database import Database

from .errors import SecretExists
from .tables import PlatformSecretRow, SecretRow

AnyRow = SecretRow | PlatformSecretRow


class SecretStore:
    """The secrets of one organization, or of the platform (no organization)."""

    def __init__(self, session: AsyncSession, org_id: str | None) -> None:
        self._session = session
        self._org_id = org_id
        self._row: type[SecretRow | PlatformSecretRow] = PlatformSecretRow if org_id is None else SecretRow

    async def add(self, **columns: Any) -> None:
        """Add a version; refuses one that exists, as when two people store the same name at once."""
        if self._org_id is None:
            self._session.add(PlatformSecretRow(**columns))
        else:
            self._session.add(SecretRow(org_id=self._org_id, **columns))
        try:
            await self._session.flush()
        except IntegrityError as error:
            raise SecretExists(name=columns["name"]) from error

    async def page(self, after: str | None, limit: int) -> Sequence[AnyRow]:
        """List the newest versions by name, one more than ``limit``."""
        query = self._mine().where(self._row.newest.is_(True)).order_by(self._row.name).limit(limit + 1)
        if after is not None:
            query = query.where(self._row.name > after)
        return (await self._session.scalars(query)).all()

    async def count(self) -> int:
        """Count the secrets, not their versions."""
        query = self._mine().where(self._row.newest.is_(True))
        return await self._session.scalar(select(func.count()).select_from(query.subquery())) or 0

    async def newest(self, name: str, *, lock: bool = False) -> AnyRow | None:
        """Find the newest version, and hold it against other rotations if asked to."""
        query = self._mine().where(self._row.name == name, self._row.newest.is_(True))
        row: AnyRow | None = await self._session.scalar(query.with_for_update() if lock else query)
        return row

    async def version(self, name: str, version: int) -> AnyRow | None:
        """Find one version."""
        query = self._mine().where(self._row.name == name, self._row.version == version)
        row: AnyRow | None = await self._session.scalar(query)
        return row

    async def forget(self, name: str, *, up_to: int | None = None) -> None:
        """Delete the versions up to a number, or all."""
        query = delete(self._row).where(self._row.name == name)
        if self._org_id is not None:
            query = query.where(SecretRow.org_id == self._org_id)
        if up_to is not None:
            query = query.where(self._row.version <= up_to)
        await self._session.execute(query)

    def _mine(self) -> Select[Any]:
        if self._org_id is None:
            return select(PlatformSecretRow)
        return select(SecretRow).where(SecretRow.org_id == self._org_id)


class EverySecret:
    """All secrets of everybody, for sealing them anew."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def batch(self, *, platform: bool, after: str, limit: int) -> Sequence[tuple[str, str, bytes]]:
        """Read rows as (id, name, sealed), by id."""
        table: type[SecretRow | PlatformSecretRow] = PlatformSecretRow if platform else SecretRow
        query = (
            select(table.id, table.name, table.sealed).where(table.id > after).order_by(table.id).limit(limit)
        )
        async with self._database.reading() as session:
            with self._database.across_organizations():
                return [(row.id, row.name, row.sealed) for row in await session.execute(query)]

    async def replace(
        self, session: AsyncSession, row_id: str, *, platform: bool, old: bytes, new: bytes
    ) -> None:
        """Put the new seal in the place of the old, unless someone changed it meanwhile."""
        table: type[SecretRow | PlatformSecretRow] = PlatformSecretRow if platform else SecretRow
        with self._database.across_organizations():
            await session.execute(
                update(table)
                .where(table.id == row_id, table.sealed == old)
                .values(sealed=new)
                .execution_options(synchronize_session=False)
            )
