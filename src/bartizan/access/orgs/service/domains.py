"""E-mail domains whose people join an organization when they register."""

from collections.abc import Sequence

from bartizan.access.orgs.errors import DomainNotYours, DomainTaken, UnknownDomain
from bartizan.access.orgs.events import DomainListed, DomainUnlisted
from bartizan.access.orgs.settings import OrgsSettings
from bartizan.access.orgs.store import OrganizationStore
from bartizan.access.orgs.tables import DomainRow
from bartizan.access.orgs.types import Domain, NewDomain
from bartizan.access.rbac import Rbac
from bartizan.backbone.events import Events
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import Permission, current
from bartizan.foundation.database import Database

from .members import READ, Members

WRITE = Permission("orgs:write", "Change the organization's name, settings and domains")


class Domains:
    """Domains of the caller's organization: ``bz.orgs.domains``."""

    def __init__(
        self,
        database: Database,
        events: Events,
        *,
        rbac: Rbac,
        members: Members,
        clock: Clock,
        settings: OrgsSettings,
    ) -> None:
        self._database = database
        self._events = events
        self._rbac = rbac
        self._members = members
        self._clock = clock
        self._settings = settings

    async def list(self) -> Sequence[Domain]:
        """List the domains, by name."""
        current.require(READ)
        async with self._database.reading() as session:
            rows = await OrganizationStore(self._database, session, current.org_id).domains()
        return [Domain.model_validate(row) for row in rows]

    async def create(self, new: NewDomain) -> Domain:
        """List a domain: whoever registers with a verified address there joins with the role.

        It must be the domain of your own address, and none that anybody can have; an operator may
        list any. You must hold everything that the role gives.
        """
        current.require(WRITE)
        caller = current.caller
        if caller.kind != "system" and not caller.operator:
            mine = (caller.email or "").rpartition("@")[2].lower()
            if new.domain != mine or new.domain in self._settings.public_domains:
                raise DomainNotYours(domain=new.domain)
        async with self._database.transaction() as session:
            role = await self._rbac.require_conferrable(new.role)
            row = DomainRow(domain=new.domain, org_id=current.org_id, role=role, created_at=self._clock.now())
            if not await OrganizationStore(self._database, session, current.org_id).insert_domain(row):
                raise DomainTaken(domain=new.domain)
            await self._events.announce(DomainListed(domain=new.domain, role=role))
        return Domain.model_validate(row)

    async def delete(self, domain: str) -> None:
        """Stop listing a domain; who has joined by it stays."""
        current.require(WRITE)
        async with self._database.transaction() as session:
            store = OrganizationStore(self._database, session, current.org_id)
            row = next((row for row in await store.domains() if row.domain == domain), None)
            if row is None:
                raise UnknownDomain(domain=domain[:253])
            await store.remove(row)
            await self._events.announce(DomainUnlisted(domain=domain))

    async def home_of(self, email: str) -> str | None:
        """Tell which organization lists the domain of an address; for rooms, at registration."""
        async with self._database.reading() as session:
            row = await OrganizationStore(self._database, session).domain(email.rpartition("@")[2].lower())
        return row.org_id if row else None

    async def admit(self, user_id: str, email: str) -> str | None:
        """Make a person with a verified address a member where its domain is listed.

        For rooms. Gives the organization's id, or none where no organization lists the domain.
        """
        async with self._database.transaction() as session:
            row = await OrganizationStore(self._database, session).domain(email.rpartition("@")[2].lower())
            if row is None:
                return None
            await self._members.join(user_id, row.role, org_id=row.org_id, source="domain")
            return row.org_id
