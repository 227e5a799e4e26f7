"""Queries about organizations themselves."""

from collections.abc import Collection, Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError

from bartizan.access.orgs.tables import DomainRow, MembershipRow, OrganizationRow, TeamRow, WorkspaceRow
from bartizan.foundation.database import Table

from .wall import Walled

_KEPT = ("bz_audit", "bz_events", "bz_alembic")
"""Tables that outlive an organization: a log whose end can be cut off proves nothing."""


class OrganizationStore(Walled):
    """Organizations by id, by short name, and by who belongs to them."""

    async def insert(self, row: OrganizationRow) -> bool:
        """Add an organization; false when its short name is taken."""
        try:
            async with self._session.begin_nested():
                self._session.add(row)
        except IntegrityError:
            return False
        return True

    async def find(self, *, lock: bool = False) -> OrganizationRow | None:
        """The organization; with ``lock``, nobody else changes or counts anything of it until we commit."""
        query = select(OrganizationRow).where(OrganizationRow.id == self._org_id)
        if lock:
            query = query.with_for_update().execution_options(populate_existing=True)
        return await self._session.scalar(query)

    async def by_slug(self, slug: str) -> OrganizationRow | None:
        return await self._session.scalar(select(OrganizationRow).where(OrganizationRow.slug == slug))

    async def several(self, org_ids: Collection[str]) -> Sequence[OrganizationRow]:
        """Those of these organizations that exist."""
        return (
            await self._session.scalars(select(OrganizationRow).where(OrganizationRow.id.in_(org_ids)))
        ).all()

    async def page(self, after: str | None, limit: int) -> Sequence[OrganizationRow]:
        query = select(OrganizationRow).order_by(OrganizationRow.id.desc()).limit(limit)
        if after:
            query = query.where(OrganizationRow.id < after)
        return (await self._session.scalars(query)).all()

    async def of_person(self, user_id: str) -> Sequence[tuple[OrganizationRow, str]]:
        """Each organization of a person with the status there, the oldest membership first."""
        query = (
            select(OrganizationRow, MembershipRow.status)
            .join(MembershipRow, MembershipRow.org_id == OrganizationRow.id)
            .where(MembershipRow.user_id == user_id)
            .order_by(MembershipRow.id)
        )
        with self._database.across_organizations():
            return [(row, status) for row, status in (await self._session.execute(query)).all()]

    async def memberships_of(self, user_id: str) -> Sequence[MembershipRow]:
        query = select(MembershipRow).where(MembershipRow.user_id == user_id).order_by(MembershipRow.org_id)
        with self._database.across_organizations():
            return (await self._session.scalars(query)).all()

    async def founded_by(self, user_id: str) -> int:
        query = (
            select(func.count())
            .select_from(MembershipRow)
            .where(MembershipRow.user_id == user_id, MembershipRow.source == "owner")
        )
        with self._database.across_organizations():
            return await self._session.scalar(query) or 0

    async def count(self, resource: str) -> int:
        """How many of a resource the organization has."""
        table = {"seats": MembershipRow, "teams": TeamRow, "workspaces": WorkspaceRow}[resource]
        query = select(func.count()).select_from(table).where(table.org_id == self._org_id)
        if table is MembershipRow:
            query = query.where(MembershipRow.status == "active")
        with self._wall():
            return await self._session.scalar(query) or 0

    async def domain(self, name: str) -> DomainRow | None:
        """The domain, whoever lists it."""
        with self._database.across_organizations():
            return await self._session.scalar(select(DomainRow).where(DomainRow.domain == name))

    async def domains(self) -> Sequence[DomainRow]:
        query = select(DomainRow).where(DomainRow.org_id == self._org_id).order_by(DomainRow.domain)
        with self._wall():
            return (await self._session.scalars(query)).all()

    async def insert_domain(self, row: DomainRow) -> bool:
        """Add a domain; false when it is listed already."""
        try:
            with self._wall():
                async with self._session.begin_nested():
                    self._session.add(row)
        except IntegrityError:
            return False
        return True

    async def sweep(self) -> None:
        """Delete the organization and every row of ours that names it, whichever room it is in."""
        with self._database.across_organizations():
            for table in reversed(Table.metadata.sorted_tables):
                if "org_id" in table.c and not table.name.startswith(_KEPT):
                    await self._session.execute(delete(table).where(table.c.org_id == self._org_id))
            await self._session.execute(delete(OrganizationRow).where(OrganizationRow.id == self._org_id))
