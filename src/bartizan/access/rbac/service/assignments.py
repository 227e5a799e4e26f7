"""Who has which role."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from bartizan.access.rbac.errors import LastOwner, UnknownRole, UnknownSubject
from bartizan.access.rbac.events import RoleAssigned, RoleUnassigned
from bartizan.access.rbac.store import RbacStore
from bartizan.access.rbac.tables import WHOLE, AssignmentRow
from bartizan.access.rbac.types import Access, Grant, RoleChoice
from bartizan.backbone.events import Events
from bartizan.foundation import ids
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import current
from bartizan.foundation.database import Database

from .authority import Authority
from .catalogue import role_name
from .ledger import Ledger
from .roles import READ, WRITE


class Assignments:
    """Roles of people, in an organization and in its teams."""

    def __init__(
        self, database: Database, events: Events, *, ledger: Ledger, authority: Authority, clock: Clock
    ) -> None:
        self._database = database
        self._events = events
        self._ledger = ledger
        self._authority = authority
        self._clock = clock

    async def access(self, user_id: str) -> Access:
        """Show what one person has in this organization: roles, grants, and what comes of them."""
        if user_id != current.caller.user_id:
            current.require(READ)
        async with self._database.reading() as session:
            store = RbacStore(self._database, session, current.org_id)
            rows = await store.assignments(user_id)
            grants = await store.grants(user_id)
        if not any(row.team_id == WHOLE for row in rows):
            raise UnknownSubject(user_id=user_id)
        teams: dict[str, list[str]] = {}
        for row in rows:
            if row.team_id:
                teams.setdefault(row.team_id, []).append(row.role)
        effective = await self._ledger.effective(user_id, current.org_id)
        return Access(
            user_id=user_id,
            roles=[row.role for row in rows if row.team_id == WHOLE],
            teams=dict(teams),
            grants=[Grant.model_validate(grant) for grant in grants],
            permissions=sorted(effective.permissions),
        )

    async def assign(self, user_id: str, choice: RoleChoice) -> Access:
        """Give a member exactly these roles in the organization.

        You must hold what you give and what you take, and an owner remains in any case.
        """
        current.require(WRITE)
        async with self._database.transaction():
            held = (await self.roles_of([user_id], current.org_id)).get(user_id)
            if not held:
                raise UnknownSubject(user_id=user_id)
            wanted = {role_name(role) for role in choice.roles}
            for role in sorted(wanted.symmetric_difference(held)):
                await self._authority.require_role(role)
            await self._authority.require_over(user_id)
            await self.place(user_id, wanted, org_id=current.org_id)
        return await self.access(user_id)

    async def roles_of(
        self, user_ids: Collection[str], org_id: str, team_id: str | None = None
    ) -> Mapping[str, Sequence[str]]:
        """Give the roles of many people at once; for rooms, so it asks for no permission."""
        async with self._database.reading() as session:
            pairs = await RbacStore(self._database, session, org_id).assigned_to(user_ids, team_id)
        roles: dict[str, list[str]] = {}
        for user_id, role in pairs:
            roles.setdefault(user_id, []).append(role)
        return roles

    async def place(
        self, user_id: str, roles: Iterable[str], *, org_id: str, team_id: str | None = None
    ) -> None:
        """Give somebody exactly these roles, in the organization or in a team.

        For rooms that have checked who asks: it asks for no permission, but it keeps the last owner.
        """
        wanted = {role_name(role) for role in roles}
        async with self._database.transaction() as session:
            store = RbacStore(self._database, session, org_id)
            rows = [row for row in await store.assignments(user_id) if row.team_id == (team_id or WHOLE)]
            held = {row.role for row in rows}
            for role in sorted(wanted - held):
                if await self._ledger.permissions_of(role, org_id, team=team_id is not None) is None:
                    raise UnknownRole(role=role[:40])
                await store.add(
                    AssignmentRow(
                        id=ids.new("asg"),
                        org_id=org_id,
                        user_id=user_id,
                        team_id=team_id or WHOLE,
                        role=role,
                        active=all(row.active for row in rows),
                        created_at=self._clock.now(),
                    )
                )
                await self._events.announce(
                    RoleAssigned(user_id=user_id, role=role, team_id=team_id), org_id=org_id
                )
            if team_id is None and "owner" in held - wanted:
                await self._keep_an_owner(store, user_id, org_id)
            for row in rows:
                if row.role not in wanted:
                    await store.remove(row)
                    await self._events.announce(
                        RoleUnassigned(user_id=user_id, role=row.role, team_id=team_id), org_id=org_id
                    )
            self._ledger.changed(org_id, user_id)

    async def suspend(self, user_id: str, *, org_id: str, keep_an_owner: bool = True) -> None:
        """Make the person's roles give nothing until :meth:`resume`; the last owner's only if told to."""
        async with self._database.transaction() as session:
            store = RbacStore(self._database, session, org_id)
            if keep_an_owner:
                await self._keep_an_owner(store, user_id, org_id)
            await store.set_active(user_id, active=False)
            self._ledger.changed(org_id, user_id)

    async def resume(self, user_id: str, *, org_id: str) -> None:
        """Let the person's roles count again."""
        async with self._database.transaction() as session:
            await RbacStore(self._database, session, org_id).set_active(user_id, active=True)
            self._ledger.changed(org_id, user_id)

    async def forget(self, user_id: str, *, org_id: str) -> None:
        """Take every role, team role, grant and denial of the person away; refuses the last owner."""
        async with self._database.transaction() as session:
            store = RbacStore(self._database, session, org_id)
            rows = await store.assignments(user_id)
            await self._keep_an_owner(store, user_id, org_id)
            await store.forget(user_id)
            for row in rows:
                await self._events.announce(
                    RoleUnassigned(user_id=user_id, role=row.role, team_id=row.team_id or None), org_id=org_id
                )
            self._ledger.changed(org_id, user_id)

    async def forget_team(self, team_id: str, *, org_id: str) -> None:
        """Take away every role in a team that is going."""
        async with self._database.transaction() as session:
            await RbacStore(self._database, session, org_id).forget_team(team_id)
            self._ledger.changed(org_id)

    async def _keep_an_owner(self, store: RbacStore, user_id: str, org_id: str) -> None:
        owners = await store.lock_owners()
        if owners == {user_id}:
            raise LastOwner(org_id=org_id, user_id=user_id)
