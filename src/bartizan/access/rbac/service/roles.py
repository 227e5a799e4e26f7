"""The roles of an organization: those built in, and those it made for itself."""

from collections.abc import Sequence

from bartizan.access.rbac.errors import BuiltInRole, RoleInUse, RoleNameTaken, TooManyRoles, UnknownRole
from bartizan.access.rbac.events import RoleCreated, RoleDeleted, RoleUpdated
from bartizan.access.rbac.settings import RbacSettings
from bartizan.access.rbac.store import RbacStore
from bartizan.access.rbac.tables import RoleRow
from bartizan.access.rbac.types import NewRole, PermissionInfo, Role, RoleChanges
from bartizan.backbone.events import Events
from bartizan.foundation import ids
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import Permission, current
from bartizan.foundation.database import Database

from .authority import Authority
from .catalogue import ORGANIZATION_PACKS, TEAM_PACKS, Catalogue, role_name
from .ledger import Ledger

READ = Permission("rbac:read", "See roles, and who has which")
WRITE = Permission("rbac:write", "Make roles, and give or withhold permissions")

_MEANINGS = {
    "owner": "Everything, the end of the organization included",
    "admin": "Everything but the end of the organization",
    "developer": "Builds on the application: keys, webhooks, flags, events",
    "operator": "Keeps it running: jobs, sessions, e-mail, audit",
    "member": "Uses the application",
    "viewer": "Looks, and changes nothing",
    "support": "Looks into what happened to somebody",
    "auditor": "Reads and exports the audit log",
}


class Roles:
    """Roles of the caller's organization: ``bz.rbac.roles``."""

    def __init__(
        self,
        database: Database,
        events: Events,
        *,
        catalogue: Catalogue,
        ledger: Ledger,
        authority: Authority,
        clock: Clock,
        settings: RbacSettings,
    ) -> None:
        self._database = database
        self._events = events
        self._catalogue = catalogue
        self._ledger = ledger
        self._authority = authority
        self._clock = clock
        self._settings = settings

    async def permissions(self) -> Sequence[PermissionInfo]:
        """List every permission there is, by name."""
        current.require(READ)
        return [PermissionInfo.model_validate(permission) for permission in self._catalogue.all()]

    async def list(self) -> Sequence[Role]:
        """List the roles: the organization's built-in ones, the teams', and those of your own, by name."""
        current.require(READ)
        built_in = [self._built_in(name) for name in ORGANIZATION_PACKS]
        teams = [self._built_in(name, team=True) for name in TEAM_PACKS]
        async with self._database.reading() as session:
            rows = await RbacStore(self._database, session, current.org_id).roles()
        return [*built_in, *teams, *(_role(row) for row in rows)]

    async def get(self, name: str) -> Role:
        """Show one role of the organization, built in or your own."""
        current.require(READ)
        name = role_name(name)
        if name in ORGANIZATION_PACKS:
            return self._built_in(name)
        async with self._database.reading() as session:
            return _role(_known(await RbacStore(self._database, session, current.org_id).role(name), name))

    async def create(self, new: NewRole) -> Role:
        """Make a role. It can hold only permissions that you hold yourself."""
        current.require(WRITE)
        permissions = self._parse(new.permissions)
        await self._authority.require(permissions)
        if role_name(new.name) in {*ORGANIZATION_PACKS, *TEAM_PACKS}:
            raise RoleNameTaken(field="name", role=new.name)
        now = self._clock.now()
        row = RoleRow(
            id=ids.new("rol"),
            org_id=current.org_id,
            name=new.name,
            description=new.description,
            permissions=list(permissions),
            created_at=now,
            updated_at=now,
        )
        async with self._database.transaction() as session:
            store = RbacStore(self._database, session, current.org_id)
            if await store.role(new.name) is not None:
                raise RoleNameTaken(field="name", role=new.name)
            if await store.count_roles() >= self._settings.max_roles:
                raise TooManyRoles(limit=self._settings.max_roles)
            await store.add(row)
            await self._events.announce(
                RoleCreated(role_id=row.id, role=row.name, permissions=tuple(permissions))
            )
            self._ledger.changed(current.org_id)
        return _role(row)

    async def update(self, name: str, changes: RoleChanges) -> Role:
        """Change what a role of your own means; it holds for everybody who has it, at once.

        You must hold yourself both what it held and what it shall hold.
        """
        current.require(WRITE)
        async with self._database.transaction() as session:
            store = RbacStore(self._database, session, current.org_id)
            row = await self._own(store, name)
            before = set(row.permissions)
            if changes.description is not None:
                row.description = changes.description
            if changes.permissions is not None:
                row.permissions = [*self._parse(changes.permissions)]
                await self._authority.require(before.union(row.permissions) & self._catalogue.names())
            row.updated_at = self._clock.now()
            await store.save()
            after = set(row.permissions)
            await self._events.announce(
                RoleUpdated(
                    role_id=row.id,
                    role=row.name,
                    added=tuple(sorted(after - before)),
                    removed=tuple(sorted(before - after)),
                )
            )
            self._ledger.changed(current.org_id)
            return _role(row)

    async def delete(self, name: str) -> None:
        """Delete a role of your own that nobody has any more."""
        current.require(WRITE)
        async with self._database.transaction() as session:
            store = RbacStore(self._database, session, current.org_id)
            row = await self._own(store, name)
            await self._authority.require(self._catalogue.names().intersection(row.permissions))
            if await store.is_assigned(row.name):
                raise RoleInUse(role=row.name)
            await store.remove(row)
            await self._events.announce(RoleDeleted(role_id=row.id, role=row.name))
            self._ledger.changed(current.org_id)

    def _parse(self, names: Sequence[str]) -> Sequence[str]:
        return sorted({self._catalogue.parse(name) for name in names})

    def _built_in(self, name: str, *, team: bool = False) -> Role:
        return Role(
            name=name,
            description=f"{name.capitalize()} of a team" if team else _MEANINGS[name],
            permissions=sorted(self._catalogue.pack(name, team=team) or ()),
            built_in=True,
            scope="team" if team else "organization",
        )

    async def _own(self, store: RbacStore, name: str) -> RoleRow:
        if role_name(name) in ORGANIZATION_PACKS:
            raise BuiltInRole(role=role_name(name))
        return _known(await store.role(name, lock=True), name)


def _known(row: RoleRow | None, name: str) -> RoleRow:
    if row is None:
        raise UnknownRole(role=name[:40])
    return row


def _role(row: RoleRow) -> Role:
    return Role(
        name=row.name,
        description=row.description,
        permissions=row.permissions,
        built_in=False,
        updated_at=row.updated_at,
    )
