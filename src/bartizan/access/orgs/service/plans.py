"""What an organization's plan allows, counted so that two at once cannot take the last seat."""

import re
import unicodedata
from collections.abc import Awaitable, Callable, Collection, Mapping

from bartizan.access.orgs.errors import PlanLimitReached, UnknownOrganization
from bartizan.access.orgs.settings import OrgsSettings
from bartizan.access.orgs.store import OrganizationStore
from bartizan.access.orgs.tables import OrganizationRow
from bartizan.foundation.database import Database


class Plans:
    """Plan limits of organizations: ``bz.orgs.plans``."""

    def __init__(self, database: Database, settings: OrgsSettings) -> None:
        self._database = database
        self._settings = settings

    def limits(self, row: OrganizationRow) -> Mapping[str, int | None]:
        """Give what holds for an organization: its plan's limits, then its own."""
        limits: dict[str, int | None] = {}
        for plan, allowed in self._settings.plans.items():
            if plan == row.plan:
                limits.update(allowed)
        return {**limits, **row.limits}

    async def allowances(self, org_ids: Collection[str]) -> Mapping[str, Mapping[str, int | None]]:
        """Give what holds for each of several organizations; those that do not exist are left out."""
        async with self._database.reading() as session:
            rows = await OrganizationStore(self._database, session).several(org_ids)
        return {row.id: self.limits(row) for row in rows}

    async def take(
        self, resource: str, count: Callable[[], Awaitable[int]], *, org_id: str, adding: int = 1
    ) -> None:
        """Refuse with 402 when ``adding`` to what ``count`` finds would exceed the plan.

        Must be called in the transaction that adds, before it adds. The organization stays locked
        until that commits, so whoever else adds meanwhile waits, and then counts what was added.
        A host limits its own things the same way: ``await bz.orgs.plans.take("workflows", count,
        org_id=current.org_id)``.
        """
        async with self._database.transaction() as session:
            row = await OrganizationStore(self._database, session, org_id).find(lock=True)
            if row is None:
                raise UnknownOrganization(org_id=org_id)
            limit = self.limits(row).get(resource)
            if limit is None:
                return
            used = await count()
            if used + adding > limit:
                message = f"The plan includes {limit} {resource}, and {used} are taken."
                raise PlanLimitReached(message, resource=resource, limit=limit, used=used, plan=row.plan)

    async def take_own(self, resource: str, *, org_id: str, extra: int = 0) -> None:
        """Take a seat, a team or a workspace; ``extra`` counts what is promised but not taken yet."""

        async def count() -> int:
            async with self._database.reading() as session:
                return await OrganizationStore(self._database, session, org_id).count(resource) + extra

        await self.take(resource, count, org_id=org_id)


def slug_of(name: str) -> str:
    """Make a short name from a name: ``Käse & Söhne`` becomes ``kase-sohne``."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:50].strip("-")
    return slug if len(slug) > 1 else f"org-{slug}".rstrip("-")
