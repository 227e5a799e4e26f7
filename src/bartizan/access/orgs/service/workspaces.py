"""Workspaces: places for a host's things, below a team or the organization."""

from bartizan.access.orgs.errors import SlugTaken, UnknownTeam, UnknownWorkspace
from bartizan.access.orgs.events import WorkspaceCreated, WorkspaceDeleted, WorkspaceUpdated
from bartizan.access.orgs.store import MemberStore
from bartizan.access.orgs.tables import WorkspaceRow
from bartizan.access.orgs.types import Id, NewWorkspace, Workspace, WorkspaceChanges
from bartizan.backbone.events import Events
from bartizan.foundation import ids
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import Permission, current
from bartizan.foundation.database import Database
from bartizan.foundation.pages import Cursor, Limit, Page, cut, decode

from .members import READ
from .plans import Plans, slug_of
from .teams import Teams

WORKSPACES = Permission("orgs:workspaces", "Make, change and delete any workspace")


class Workspaces:
    """Workspaces of the caller's organization: ``bz.orgs.workspaces``."""

    def __init__(
        self, database: Database, events: Events, *, teams: Teams, plans: Plans, clock: Clock
    ) -> None:
        self._database = database
        self._events = events
        self._teams = teams
        self._plans = plans
        self._clock = clock

    async def list(
        self, team_id: Id | None = None, limit: Limit = 50, cursor: Cursor = None
    ) -> Page[Workspace]:
        """List the workspaces, of one team if you name it, the newest first."""
        current.require(READ)
        after = decode(cursor)[0] if cursor else None
        async with self._database.reading() as session:
            store = MemberStore(self._database, session, current.org_id)
            found = await store.workspaces(team_id, after, limit + 1)
        rows, following = cut(found, limit, lambda row: [row.id])
        return Page(items=[Workspace.model_validate(row) for row in rows], next=following)

    async def get(self, workspace_id: str) -> Workspace:
        """Show one workspace."""
        current.require(READ)
        async with self._database.reading() as session:
            store = MemberStore(self._database, session, current.org_id)
            return Workspace.model_validate(await self._known(store, workspace_id))

    async def create(self, new: NewWorkspace) -> Workspace:
        """Make a workspace, below a team or right below the organization. Refused beyond the plan's."""
        now = self._clock.now()
        org_id = current.org_id
        row = WorkspaceRow(
            id=ids.new("wsp"),
            org_id=org_id,
            team_id=new.team_id,
            name=new.name,
            slug=new.slug or slug_of(new.name),
            settings={},
            created_at=now,
            updated_at=now,
        )
        async with self._database.transaction() as session:
            store = MemberStore(self._database, session, org_id)
            if new.team_id is not None and await store.team(new.team_id) is None:
                raise UnknownTeam(team_id=new.team_id)
            await self._require(new.team_id)
            await self._plans.take_own("workspaces", org_id=org_id)
            if await store.workspace_by_slug(row.slug) is not None:
                raise SlugTaken(field="slug", slug=row.slug)
            await store.add(row)
            await self._events.announce(
                WorkspaceCreated(workspace_id=row.id, slug=row.slug, team_id=row.team_id)
            )
        return Workspace.model_validate(row)

    async def update(self, workspace_id: str, changes: WorkspaceChanges) -> Workspace:
        """Change a workspace's name or settings."""
        async with self._database.transaction() as session:
            store = MemberStore(self._database, session, current.org_id)
            row = await self._known(store, workspace_id)
            await self._require(row.team_id)
            given = changes.model_dump(exclude_none=True)
            for field, value in given.items():
                setattr(row, field, value)
            row.updated_at = self._clock.now()
            await store.save()
            await self._events.announce(
                WorkspaceUpdated(workspace_id=workspace_id, changed=tuple(sorted(given)))
            )
            return Workspace.model_validate(row)

    async def delete(self, workspace_id: str) -> None:
        """Delete a workspace."""
        async with self._database.transaction() as session:
            store = MemberStore(self._database, session, current.org_id)
            row = await self._known(store, workspace_id)
            await self._require(row.team_id)
            await store.remove(row)
            await self._events.announce(WorkspaceDeleted(workspace_id=workspace_id, slug=row.slug))

    async def _require(self, team_id: str | None) -> None:
        if team_id is None or current.allows(WORKSPACES):
            current.require(WORKSPACES)
        else:
            await self._teams.require_leader(team_id)

    async def _known(self, store: MemberStore, workspace_id: str) -> WorkspaceRow:
        current.require(READ)
        row = await store.workspace(workspace_id)
        if row is None:
            raise UnknownWorkspace(workspace_id=workspace_id[:30])
        return row
