"""Teams of an organization and who is in them."""

from bartizan.access.orgs.errors import AlreadyAMember, SlugTaken, UnknownMember, UnknownTeam
from bartizan.access.orgs.events import (
    TeamCreated,
    TeamDeleted,
    TeamMemberAdded,
    TeamMemberRemoved,
    TeamUpdated,
)
from bartizan.access.orgs.store import MemberStore
from bartizan.access.orgs.tables import TeamMemberRow, TeamRow
from bartizan.access.orgs.types import (
    NewTeam,
    NewTeamMember,
    People,
    Team,
    TeamChanges,
    TeamMember,
    TeamMemberChanges,
)
from bartizan.access.rbac import Rbac
from bartizan.backbone.events import Events
from bartizan.foundation import ids
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import Permission, PermissionMissing, current
from bartizan.foundation.database import Database
from bartizan.foundation.pages import Cursor, Limit, Page, cut, decode

from .members import READ
from .plans import Plans, slug_of

TEAMS = Permission("orgs:teams", "Make, change and delete any team, and say who is in it")
TEAM = Permission("orgs:team", "Change the team one leads, and say who is in it")
DISBAND = Permission("orgs:disband", "Delete the team one owns")


class Teams:
    """Teams of the caller's organization: ``bz.orgs.teams``."""

    def __init__(
        self,
        database: Database,
        events: Events,
        *,
        rbac: Rbac,
        people: People,
        plans: Plans,
        clock: Clock,
    ) -> None:
        self._database = database
        self._events = events
        self._rbac = rbac
        self._people = people
        self._plans = plans
        self._clock = clock

    async def list(self, limit: Limit = 50, cursor: Cursor = None) -> Page[Team]:
        """List the teams, the newest first."""
        current.require(READ)
        after = decode(cursor)[0] if cursor else None
        async with self._database.reading() as session:
            found = await MemberStore(self._database, session, current.org_id).teams(after, limit + 1)
        rows, following = cut(found, limit, lambda row: [row.id])
        return Page(items=[Team.model_validate(row) for row in rows], next=following)

    async def get(self, team_id: str) -> Team:
        """Show one team."""
        current.require(READ)
        async with self._database.reading() as session:
            store = MemberStore(self._database, session, current.org_id)
            return Team.model_validate(await self._known(store, team_id))

    async def create(self, new: NewTeam) -> Team:
        """Make a team; you become its owner if you are a person. Refused with 402 beyond the plan's."""
        current.require(TEAMS)
        return Team.model_validate(
            await self.found(new, org_id=current.org_id, owner_id=current.caller.user_id)
        )

    async def update(self, team_id: str, changes: TeamChanges) -> Team:
        """Change a team's name or description: whoever leads it may, or manages all teams."""
        async with self._database.transaction() as session:
            store = MemberStore(self._database, session, current.org_id)
            row = await self._led(store, team_id, TEAM)
            given = changes.model_dump(exclude_none=True)
            for field, value in given.items():
                setattr(row, field, value)
            row.updated_at = self._clock.now()
            await store.save()
            await self._events.announce(TeamUpdated(team_id=team_id, changed=tuple(sorted(given))))
            return Team.model_validate(row)

    async def delete(self, team_id: str) -> None:
        """Delete a team and its workspaces; its people stay members of the organization."""
        org_id = current.org_id
        async with self._database.transaction() as session:
            store = MemberStore(self._database, session, org_id)
            row = await self._led(store, team_id, DISBAND)
            await self._rbac.forget_team(team_id, org_id=org_id)
            await store.remove(row)
            await self._events.announce(TeamDeleted(team_id=team_id, slug=row.slug))

    async def members(self, team_id: str, limit: Limit = 50, cursor: Cursor = None) -> Page[TeamMember]:
        """List who is in a team, those who joined last first."""
        current.require(READ)
        org_id = current.org_id
        after = decode(cursor)[0] if cursor else None
        async with self._database.reading() as session:
            store = MemberStore(self._database, session, org_id)
            await self._known(store, team_id)
            found = await store.team_members(team_id, after, limit + 1)
            rows, following = cut(found, limit, lambda row: [row.id])
            return Page(items=[await self._shown(row) for row in rows], next=following)

    async def add_member(self, team_id: str, new: NewTeamMember) -> TeamMember:
        """Put a member of the organization into a team. You must hold what the role gives there."""
        org_id = current.org_id
        async with self._database.transaction() as session:
            store = MemberStore(self._database, session, org_id)
            await self._led(store, team_id, TEAM)
            await self._rbac.require_conferrable(new.role, team_id)
            return await self._shown(await self.join(team_id, new.user_id, new.role, org_id=org_id))

    async def update_member(self, team_id: str, user_id: str, changes: TeamMemberChanges) -> TeamMember:
        """Give somebody another role in a team. You must hold what it gives, and what they had."""
        org_id = current.org_id
        async with self._database.transaction() as session:
            store = MemberStore(self._database, session, org_id)
            await self._led(store, team_id, TEAM)
            row = await self._inside(store, team_id, user_id)
            await self._require_over(team_id, user_id)
            await self._rbac.require_conferrable(changes.role, team_id)
            await self._rbac.place(user_id, [changes.role], org_id=org_id, team_id=team_id)
            return await self._shown(row)

    async def remove_member(self, team_id: str, user_id: str) -> None:
        """Take somebody out of a team; everyone may leave."""
        org_id = current.org_id
        async with self._database.transaction() as session:
            store = MemberStore(self._database, session, org_id)
            if user_id == current.in_person:
                await self._known(store, team_id)
            else:
                await self._led(store, team_id, TEAM)
                await self._require_over(team_id, user_id)
            row = await self._inside(store, team_id, user_id)
            await self._rbac.place(user_id, [], org_id=org_id, team_id=team_id)
            await store.remove(row)
            await self._events.announce(TeamMemberRemoved(team_id=team_id, user_id=user_id))

    # For rooms: who asks was checked by the caller of these.

    async def found(
        self, new: NewTeam, *, org_id: str, owner_id: str | None, is_default: bool = False
    ) -> TeamRow:
        """Make a team. For rooms, which have checked who asks."""
        now = self._clock.now()
        row = TeamRow(
            id=ids.new("tea"),
            org_id=org_id,
            name=new.name,
            slug=new.slug or slug_of(new.name),
            description=new.description,
            is_default=is_default,
            created_at=now,
            updated_at=now,
        )
        async with self._database.transaction() as session:
            store = MemberStore(self._database, session, org_id)
            await self._plans.take_own("teams", org_id=org_id)
            if await store.team_by_slug(row.slug) is not None:
                raise SlugTaken(field="slug", slug=row.slug)
            await store.add(row)
            await self._events.announce(TeamCreated(team_id=row.id, slug=row.slug), org_id=org_id)
            if owner_id is not None:
                await self.join(row.id, owner_id, "owner", org_id=org_id)
        return row

    async def join(self, team_id: str, user_id: str, role: str, *, org_id: str) -> TeamMemberRow:
        """Put a member into a team. For rooms, which have checked who asks."""
        async with self._database.transaction() as session:
            store = MemberStore(self._database, session, org_id)
            await self._known(store, team_id)
            if await store.member(user_id) is None:
                raise UnknownMember(user_id=user_id[:30])
            if await store.team_member(team_id, user_id) is not None:
                raise AlreadyAMember(user_id=user_id)
            row = TeamMemberRow(
                id=ids.new("mem"),
                org_id=org_id,
                team_id=team_id,
                user_id=user_id,
                created_at=self._clock.now(),
            )
            await store.add(row)
            await self._rbac.place(user_id, [role], org_id=org_id, team_id=team_id)
            fact = TeamMemberAdded(team_id=team_id, user_id=user_id, role=role)
            await self._events.announce(fact, org_id=org_id)
            return row

    async def require_leader(self, team_id: str, permission: Permission = TEAM) -> None:
        """Refuse a caller who neither manages all teams nor has ``permission`` in this one."""
        caller = current.caller
        if current.allows(TEAMS):
            return
        if caller.kind == "user":
            inside = await self._rbac.effective(current.user_id, current.org_id, team_id)
            if permission.name in inside.permissions:
                return
        message = f"This needs {TEAMS.name}, or {permission.name} in the team."
        raise PermissionMissing(message, permission=TEAMS.name)

    async def _led(self, store: MemberStore, team_id: str, permission: Permission) -> TeamRow:
        current.require(READ)
        row = await self._known(store, team_id)
        await self.require_leader(team_id, permission)
        return row

    async def _require_over(self, team_id: str, user_id: str) -> None:
        org_id = current.org_id
        for role in (await self._rbac.roles_of([user_id], org_id, team_id)).get(user_id, ()):
            await self._rbac.require_conferrable(role, team_id)

    async def _known(self, store: MemberStore, team_id: str) -> TeamRow:
        row = await store.team(team_id)
        if row is None:
            raise UnknownTeam(team_id=team_id[:30])
        return row

    async def _inside(self, store: MemberStore, team_id: str, user_id: str) -> TeamMemberRow:
        row = await store.team_member(team_id, user_id)
        if row is None:
            raise UnknownMember(user_id=user_id[:30], team_id=team_id)
        return row

    async def _shown(self, row: TeamMemberRow) -> TeamMember:
        person = (await self._people.people([row.user_id])).get(row.user_id)
        roles = (await self._rbac.roles_of([row.user_id], current.org_id, row.team_id)).get(row.user_id)
        return TeamMember(
            user_id=row.user_id,
            email=person.email if person else None,
            full_name=person.full_name if person else None,
            role=roles[0] if roles else "viewer",
            created_at=row.created_at,
        )
