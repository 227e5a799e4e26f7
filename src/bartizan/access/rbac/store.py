"""Queries about roles, assignments and grants; the only file of the room that speaks SQL."""

from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bartizan.foundation.context import current
from bartizan.foundation.database import Database

from .tables import WHOLE, AssignmentRow, GrantRow, RoleRow


class RbacStore:
    """The roles, assignments and grants of one organization."""

    def __init__(self, database: Database, session: AsyncSession, org_id: str) -> None:
        self._database = database
        self._session = session
        self._org_id = org_id

    @contextmanager
    def _wall(self) -> Generator[None]:
        """Lift the tenant wall only where the organization asked about is not the caller's.

        Permissions are needed before there is a caller (signing in), and for an organization that
        has just been made.
        """
        caller = current.anyone
        if caller is not None and caller.org_id == self._org_id:
            yield
        else:
            with self._database.across_organizations():
                yield

    def _roles(self) -> Select[RoleRow]:
        return select(RoleRow).where(RoleRow.org_id == self._org_id)

    def _assignments(self) -> Select[AssignmentRow]:
        return select(AssignmentRow).where(AssignmentRow.org_id == self._org_id)

    def _grants(self) -> Select[GrantRow]:
        return select(GrantRow).where(GrantRow.org_id == self._org_id)

    async def add(self, row: RoleRow | AssignmentRow | GrantRow) -> None:
        with self._wall():
            self._session.add(row)
            await self._session.flush()

    async def remove(self, row: RoleRow | AssignmentRow | GrantRow) -> None:
        with self._wall():
            await self._session.delete(row)
            await self._session.flush()

    async def save(self) -> None:
        with self._wall():
            await self._session.flush()

    async def roles(self) -> Sequence[RoleRow]:
        with self._wall():
            return (await self._session.scalars(self._roles().order_by(RoleRow.name))).all()

    async def role(self, name: str, *, lock: bool = False) -> RoleRow | None:
        query = self._roles().where(RoleRow.name == name)
        with self._wall():
            return await self._session.scalar(query.with_for_update() if lock else query)

    async def is_assigned(self, role: str) -> bool:
        query = self._assignments().where(AssignmentRow.role == role).limit(1)
        with self._wall():
            return await self._session.scalar(query) is not None

    async def held(self, user_id: str, team_id: str | None) -> Sequence[tuple[str, str]]:
        """Team (or nothing) and name of each active role that counts here."""
        query = select(AssignmentRow.team_id, AssignmentRow.role).where(
            AssignmentRow.org_id == self._org_id,
            AssignmentRow.user_id == user_id,
            AssignmentRow.team_id.in_([WHOLE, team_id or WHOLE]),
            AssignmentRow.active,
        )
        with self._wall():
            return [(team, role) for team, role in (await self._session.execute(query)).all()]

    async def exceptions(self, user_id: str) -> Sequence[tuple[str, bool]]:
        """Permission and whether it is allowed, for each grant and denial."""
        query = select(GrantRow.permission, GrantRow.allowed).where(
            GrantRow.org_id == self._org_id, GrantRow.user_id == user_id
        )
        with self._wall():
            return [(name, allowed) for name, allowed in (await self._session.execute(query)).all()]

    async def assignments(self, user_id: str) -> Sequence[AssignmentRow]:
        query = self._assignments().where(AssignmentRow.user_id == user_id).order_by(AssignmentRow.id)
        with self._wall():
            return (await self._session.scalars(query)).all()

    async def assigned_to(self, user_ids: Collection[str], team_id: str | None) -> Sequence[tuple[str, str]]:
        """Person and role, for each role of these people in the organization or the team."""
        query = (
            select(AssignmentRow.user_id, AssignmentRow.role)
            .where(
                AssignmentRow.org_id == self._org_id,
                AssignmentRow.user_id.in_(user_ids),
                AssignmentRow.team_id == (team_id or WHOLE),
            )
            .order_by(AssignmentRow.id)
        )
        with self._wall():
            return [(user, role) for user, role in (await self._session.execute(query)).all()]

    async def lock_owners(self) -> set[str]:
        """Active owners of the organization; nobody else can change them until we have committed.

        PostgreSQL looks again at rows for which it had to wait, so of two transactions that take
        away one owner each, the second one sees what the first has left. On SQLite writers take
        turns anyway.
        """
        query = (
            self._assignments()
            .where(
                AssignmentRow.team_id == WHOLE,
                AssignmentRow.role == "owner",
                AssignmentRow.active,
            )
            .order_by(AssignmentRow.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        with self._wall():
            return {row.user_id for row in (await self._session.scalars(query)).all()}

    async def set_active(self, user_id: str, *, active: bool) -> None:
        query = (
            update(AssignmentRow)
            .where(AssignmentRow.org_id == self._org_id, AssignmentRow.user_id == user_id)
            .values(active=active)
        )
        with self._wall():
            await self._session.execute(query)

    async def forget(self, user_id: str) -> None:
        with self._wall():
            for table in (AssignmentRow, GrantRow):
                await self._session.execute(
                    delete(table).where(table.org_id == self._org_id, table.user_id == user_id)
                )

    async def forget_team(self, team_id: str) -> None:
        with self._wall():
            await self._session.execute(
                delete(AssignmentRow).where(
                    AssignmentRow.org_id == self._org_id, AssignmentRow.team_id == team_id
                )
            )

    async def grants(self, user_id: str) -> Sequence[GrantRow]:
        query = self._grants().where(GrantRow.user_id == user_id).order_by(GrantRow.id)
        with self._wall():
            return (await self._session.scalars(query)).all()

    async def grant(self, grant_id: str) -> GrantRow | None:
        with self._wall():
            return await self._session.scalar(self._grants().where(GrantRow.id == grant_id))

    async def count_roles(self) -> int:
        query = select(func.count()).select_from(RoleRow).where(RoleRow.org_id == self._org_id)
        with self._wall():
            return await self._session.scalar(query) or 0

    async def able(
        self, roles: Collection[str], in_team: Collection[str], permission: str, after: str, limit: int
    ) -> Sequence[tuple[str, str, str]]:
        """Person, team (or nothing) and role of those who have one of the roles, or the grant."""
        with_role = select(AssignmentRow.user_id).where(
            AssignmentRow.org_id == self._org_id,
            AssignmentRow.active,
            ((AssignmentRow.team_id == WHOLE) & AssignmentRow.role.in_(roles))
            | ((AssignmentRow.team_id != WHOLE) & AssignmentRow.role.in_(in_team)),
        )
        member = select(AssignmentRow.user_id).where(
            AssignmentRow.org_id == self._org_id, AssignmentRow.team_id == WHOLE, AssignmentRow.active
        )
        owner = member.where(AssignmentRow.role == "owner")
        granted, denied = (
            select(GrantRow.user_id).where(
                GrantRow.org_id == self._org_id, GrantRow.permission == permission, GrantRow.allowed.is_(flag)
            )
            for flag in (True, False)
        )
        page = (
            member.where(
                AssignmentRow.user_id > after,
                AssignmentRow.user_id.in_(with_role) | AssignmentRow.user_id.in_(granted),
                AssignmentRow.user_id.not_in(denied) | AssignmentRow.user_id.in_(owner),
            )
            .distinct()
            .order_by(AssignmentRow.user_id)
            .limit(limit)
        )
        with self._wall():
            people = (await self._session.scalars(page)).all()
            query = select(AssignmentRow.user_id, AssignmentRow.team_id, AssignmentRow.role).where(
                AssignmentRow.org_id == self._org_id, AssignmentRow.user_id.in_(people), AssignmentRow.active
            )
            return [(user, team, role) for user, team, role in (await self._session.execute(query)).all()]
