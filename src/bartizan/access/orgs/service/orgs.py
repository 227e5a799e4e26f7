"""Organizations: ``bz.orgs``."""

from collections.abc import Sequence
from secrets import token_hex

from bartizan.access.orgs.errors import (
    MembershipSuspended,
    NotAMember,
    NotConfirmed,
    SlugTaken,
    TooManyOrganizations,
    UnknownMember,
    UnknownOrganization,
)
from bartizan.access.orgs.events import (
    OrganizationCreated,
    OrganizationDeleted,
    OrganizationPlanned,
    OrganizationTransferred,
    OrganizationUpdated,
)
from bartizan.access.orgs.settings import OrgsSettings
from bartizan.access.orgs.store import MemberStore, OrganizationStore
from bartizan.access.orgs.tables import OrganizationRow
from bartizan.access.orgs.types import (
    Closing,
    Heir,
    Membership,
    MyOrganization,
    NewOrganization,
    NewTeam,
    Organization,
    OrganizationChanges,
    People,
    PlanChanges,
    Post,
)
from bartizan.access.rbac import Rbac
from bartizan.backbone.events import Events
from bartizan.foundation import ids
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import Permission, current
from bartizan.foundation.database import Database
from bartizan.foundation.pages import Cursor, Limit, Page, cut, decode

from .domains import WRITE, Domains
from .invitations import INVITE, Invitations
from .members import MEMBERS, READ, Members
from .plans import Plans, slug_of
from .teams import DISBAND, TEAM, TEAMS, Teams
from .workspaces import WORKSPACES, Workspaces

DELETE = Permission("orgs:delete", "Close the organization for good, or hand it to another owner")
PERMISSIONS = (READ, WRITE, DELETE, INVITE, MEMBERS, TEAMS, TEAM, DISBAND, WORKSPACES)


class Orgs:
    """Organizations, which are the tenants, and the people, teams and workspaces in them: ``bz.orgs``."""

    def __init__(
        self,
        database: Database,
        events: Events,
        *,
        rbac: Rbac,
        people: People,
        post: Post,
        clock: Clock | None = None,
        settings: OrgsSettings | None = None,
        base_url: str = "http://localhost:8000",
    ) -> None:
        self._database = database
        self._events = events
        self._rbac = rbac
        self._clock = clock = clock or Clock()
        self._settings = settings = settings or OrgsSettings()
        rbac.declare(*PERMISSIONS)
        self.plans = Plans(database, settings)
        self.members = Members(database, events, rbac=rbac, people=people, plans=self.plans, clock=clock)
        self.teams = Teams(database, events, rbac=rbac, people=people, plans=self.plans, clock=clock)
        self.workspaces = Workspaces(database, events, teams=self.teams, plans=self.plans, clock=clock)
        self.invitations = Invitations(
            database,
            events,
            rbac=rbac,
            people=people,
            post=post,
            members=self.members,
            teams=self.teams,
            plans=self.plans,
            clock=clock,
            settings=settings,
            base_url=base_url,
        )
        self.domains = Domains(
            database, events, rbac=rbac, members=self.members, clock=clock, settings=settings
        )

    # Organizations

    async def mine(self) -> Sequence[MyOrganization]:
        """List the organizations that you belong to, the one you joined first at the top."""
        return await self.of(current.user_id)

    async def found(self, new: NewOrganization) -> Organization:
        """Make an organization; you become its owner."""
        if not self._settings.self_service:
            current.require_operator()
        return await self.create(new, owner_id=current.require_person())

    async def get(self, org_id: str) -> Organization:
        """Show the organization you act for; operators may see any."""
        async with self._database.reading() as session:
            return self._shown(
                await self._visible(OrganizationStore(self._database, session, org_id), org_id)
            )

    async def list(self, limit: Limit = 50, cursor: Cursor = None) -> Page[Organization]:
        """List every organization, the newest first. Operators only."""
        current.require_operator()
        after = decode(cursor)[0] if cursor else None
        async with self._database.reading() as session:
            found = await OrganizationStore(self._database, session).page(after, limit + 1)
        rows, following = cut(found, limit, lambda row: [row.id])
        return Page(items=[self._shown(row) for row in rows], next=following)

    async def update(self, org_id: str, changes: OrganizationChanges) -> Organization:
        """Change the name, the short name or the settings of the organization you act for."""
        async with self._database.transaction() as session:
            store = OrganizationStore(self._database, session, org_id)
            row = await self._own(store, org_id, WRITE)
            given = changes.model_dump(exclude_none=True)
            slug = given.get("slug", row.slug)
            if slug != row.slug and await store.by_slug(slug) is not None:
                raise SlugTaken(field="slug", slug=slug)
            for field, value in given.items():
                setattr(row, field, value)
            row.updated_at = self._clock.now()
            await store.save()
            await self._events.announce(OrganizationUpdated(org_id=org_id, changed=tuple(sorted(given))))
            return self._shown(row)

    async def plan(self, org_id: str, changes: PlanChanges) -> Organization:
        """Give an organization another plan, or limits of its own. Operators only."""
        current.require_operator()
        async with self._database.transaction() as session:
            store = OrganizationStore(self._database, session, org_id)
            row = await self._found(store, org_id, lock=True)
            row.plan = changes.plan or row.plan
            if changes.limits is not None:
                row.limits = dict(changes.limits)
            row.updated_at = self._clock.now()
            await store.save()
            fact = OrganizationPlanned(org_id=org_id, plan=row.plan, limits=dict(row.limits))
            await self._events.announce(fact, org_id=org_id)
            return self._shown(row)

    async def transfer(self, org_id: str, heir: Heir) -> Organization:
        """Make another member the owner in your place; you stay as admin."""
        async with self._database.transaction() as session:
            row = await self._own(OrganizationStore(self._database, session, org_id), org_id, DELETE)
            user_id = current.user_id
            await self._rbac.require_conferrable("owner")
            member = await MemberStore(self._database, session, org_id).member(heir.user_id)
            if member is None or member.status != "active" or heir.user_id == user_id:
                raise UnknownMember(user_id=heir.user_id)
            await self._rbac.place(heir.user_id, ["owner"], org_id=org_id)
            await self._rbac.place(user_id, ["admin"], org_id=org_id)
            await self._events.announce(
                OrganizationTransferred(org_id=org_id, from_id=user_id, to_id=heir.user_id)
            )
            return self._shown(row)

    async def delete(self, org_id: str, closing: Closing) -> None:
        """Close the organization you act for: its people, teams, keys, jobs and everything that names it.

        Rows of the host go by foreign key, or by a listener within ``organization.deleted``. The audit
        log stays, and ends with the closing. Repeat the short name to confirm.
        """
        async with self._database.transaction() as session:
            store = OrganizationStore(self._database, session, org_id)
            row = await self._own(store, org_id, DELETE, lock=True)
            if closing.confirm != row.slug:
                raise NotConfirmed(field="confirm")
            members = await store.count("seats")
            await self._events.announce(OrganizationDeleted(org_id=org_id, slug=row.slug, members=members))
            await store.sweep()
            self._rbac.changed(org_id)

    # For rooms and doors: they have checked who asks.

    async def create(self, new: NewOrganization, *, owner_id: str) -> Organization:
        """Make an organization for somebody. For rooms, which have checked who asks."""
        now = self._clock.now()
        slug = new.slug or slug_of(new.name)
        async with self._database.transaction() as session:
            if (
                await OrganizationStore(self._database, session).founded_by(owner_id)
                >= self._settings.max_organizations
            ):
                raise TooManyOrganizations(limit=self._settings.max_organizations)
            row = OrganizationRow(
                id=ids.new("org"),
                name=new.name,
                slug=slug,
                plan=self._settings.default_plan,
                settings={},
                limits={},
                created_at=now,
                updated_at=now,
            )
            store = OrganizationStore(self._database, session, row.id)
            if await store.by_slug(slug) is not None and new.slug is None:
                row.slug = f"{slug}-{token_hex(3)}"
            if not await store.insert(row):
                raise SlugTaken(field="slug", slug=row.slug)
            fact = OrganizationCreated(org_id=row.id, slug=row.slug, plan=row.plan, owner_id=owner_id)
            await self._events.announce(fact, org_id=row.id)
            await self.members.join(owner_id, "owner", org_id=row.id, source="owner")
            if self._settings.default_team:
                team = NewTeam(name=self._settings.default_team)
                await self.teams.found(team, org_id=row.id, owner_id=owner_id, is_default=True)
        return self._shown(row)

    async def of(self, user_id: str) -> Sequence[MyOrganization]:
        """List the organizations of a person, the one joined first at the top. For rooms."""
        async with self._database.reading() as session:
            found = await OrganizationStore(self._database, session).of_person(user_id)
            return [
                MyOrganization(
                    id=row.id,
                    name=row.name,
                    slug=row.slug,
                    plan=row.plan,  # type: ignore[arg-type] # only this room writes it
                    roles=(await self._rbac.roles_of([user_id], row.id)).get(user_id, ()),
                    status="active" if status == "active" else "suspended",
                )
                for row, status in found
            ]

    async def first_of(self, user_id: str) -> str | None:
        """Give the id of the first organization in which a person is active. For signing in."""
        async with self._database.reading() as session:
            found = await OrganizationStore(self._database, session).of_person(user_id)
        return next((row.id for row, status in found if status == "active"), None)

    async def membership(self, user_id: str, org_id: str, team_id: str | None = None) -> Membership | None:
        """Tell how a person stands in an organization, and in a team of it; none for strangers."""
        async with self._database.reading() as session:
            store = MemberStore(self._database, session, org_id)
            row = await store.member(user_id)
            if row is None or (team_id is not None and await store.team_member(team_id, user_id) is None):
                return None
        effective = await self._rbac.effective(user_id, org_id, team_id)
        return Membership(
            org_id=org_id,
            user_id=user_id,
            status="active" if row.status == "active" else "suspended",
            team_id=team_id,
            roles=effective.roles,
            permissions=effective.permissions,
        )

    async def resolve(
        self, user_id: str, *, claim: str | None = None, org: str | None = None, team: str | None = None
    ) -> Membership | None:
        """Find the organization and team that a request acts for.

        ``claim`` is what the session or token says; ``org`` and ``team`` are the headers X-Org-Id (or
        X-Tenant-Id) and X-Team-Id, which only a member may send: else it is refused with 403. Nobody
        gets an organization that was not named: without a claim and a header there is none, and a
        claim to an organization that the person has left counts for nothing.
        """
        wanted = org or claim
        if wanted is None:
            if team is not None:
                raise NotAMember(team_id=team[:30])
            return None
        found = await self.membership(user_id, wanted, team)
        if found is None:
            if org is None and team is None:
                return None
            raise NotAMember(org_id=wanted[:30])
        if found.status != "active":
            raise MembershipSuspended(org_id=wanted)
        return found

    async def _found(self, store: OrganizationStore, org_id: str, *, lock: bool = False) -> OrganizationRow:
        row = await store.find(lock=lock)
        if row is None:
            raise UnknownOrganization(org_id=org_id[:30])
        return row

    async def _visible(self, store: OrganizationStore, org_id: str) -> OrganizationRow:
        caller = current.caller
        if not caller.operator:
            if caller.kind != "system" and caller.org_id != org_id:
                raise UnknownOrganization(org_id=org_id[:30])
            current.require(READ)
        return await self._found(store, org_id)

    async def _own(
        self, store: OrganizationStore, org_id: str, permission: Permission, *, lock: bool = False
    ) -> OrganizationRow:
        if current.org_id != org_id:
            raise UnknownOrganization(org_id=org_id[:30])
        current.require(permission)
        return await self._found(store, org_id, lock=lock)

    def _shown(self, row: OrganizationRow) -> Organization:
        return Organization(
            id=row.id,
            name=row.name,
            slug=row.slug,
            plan=row.plan,  # type: ignore[arg-type] # only this room writes it
            settings=row.settings,
            limits=dict(self.plans.limits(row)),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
