"""The common ground of this room's queries."""

from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy.ext.asyncio import AsyncSession

from bartizan.foundation.context import current
from bartizan.foundation.database import Database, OrgTable


class Walled:
    """Queries about one organization, or (at sign-in and for invitations) about where somebody belongs."""

    def __init__(self, database: Database, session: AsyncSession, org_id: str = "") -> None:
        self._database = database
        self._session = session
        self._org_id = org_id

    @contextmanager
    def _wall(self) -> Generator[None]:
        """Lift the tenant wall only where the organization asked about is not the caller's."""
        caller = current.anyone
        if caller is not None and self._org_id and caller.org_id == self._org_id:
            yield
        else:
            with self._database.across_organizations():
                yield

    async def add(self, row: OrgTable) -> None:
        with self._wall():
            self._session.add(row)
            await self._session.flush()

    async def remove(self, row: OrgTable) -> None:
        with self._wall():
            await self._session.delete(row)
            await self._session.flush()

    async def save(self) -> None:
        with self._wall():
            await self._session.flush()
