"""Queries about members, teams, workspaces and invitations of one organization."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Select, func, select, update

from bartizan.access.orgs.tables import (
    InvitationRow,
    MembershipRow,
    OrganizationRow,
    TeamMemberRow,
    TeamRow,
    WorkspaceRow,
)

from .wall import Walled

R = TypeVar("R", MembershipRow, TeamRow, TeamMemberRow, WorkspaceRow, InvitationRow)


class MemberStore(Walled):
    """Everything of one organization, and the few questions that come before there is one."""

    def _mine(self, table: type[R]) -> Select[R]:
        return select(table).where(table.org_id == self._org_id)

    async def _page(self, query: Select[R], table: type[R], after: str | None, limit: int) -> Sequence[R]:
        query = query.order_by(table.id.desc()).limit(limit)
        if after:
            query = query.where(table.id < after)
        with self._wall():
            return (await self._session.scalars(query)).all()

    async def _one(self, query: Select[R]) -> R | None:
        with self._wall():
            return await self._session.scalar(query)

    # Members

    async def members(self, after: str | None, limit: int, status: str | None) -> Sequence[MembershipRow]:
        query = self._mine(MembershipRow)
        if status:
            query = query.where(MembershipRow.status == status)
        return await self._page(query, MembershipRow, after, limit)

    async def member(self, user_id: str) -> MembershipRow | None:
        return await self._one(self._mine(MembershipRow).where(MembershipRow.user_id == user_id))

    # Teams

    async def teams(self, after: str | None, limit: int) -> Sequence[TeamRow]:
        return await self._page(self._mine(TeamRow), TeamRow, after, limit)

    async def team(self, team_id: str) -> TeamRow | None:
        return await self._one(self._mine(TeamRow).where(TeamRow.id == team_id))

    async def team_by_slug(self, slug: str) -> TeamRow | None:
        return await self._one(self._mine(TeamRow).where(TeamRow.slug == slug))

    async def team_members(self, team_id: str, after: str | None, limit: int) -> Sequence[TeamMemberRow]:
        query = self._mine(TeamMemberRow).where(TeamMemberRow.team_id == team_id)
        return await self._page(query, TeamMemberRow, after, limit)

    async def team_member(self, team_id: str, user_id: str) -> TeamMemberRow | None:
        query = self._mine(TeamMemberRow).where(
            TeamMemberRow.team_id == team_id, TeamMemberRow.user_id == user_id
        )
        return await self._one(query)

    # Workspaces

    async def workspaces(self, team_id: str | None, after: str | None, limit: int) -> Sequence[WorkspaceRow]:
        query = self._mine(WorkspaceRow)
        if team_id:
            query = query.where(WorkspaceRow.team_id == team_id)
        return await self._page(query, WorkspaceRow, after, limit)

    async def workspace(self, workspace_id: str) -> WorkspaceRow | None:
        return await self._one(self._mine(WorkspaceRow).where(WorkspaceRow.id == workspace_id))

    async def workspace_by_slug(self, slug: str) -> WorkspaceRow | None:
        return await self._one(self._mine(WorkspaceRow).where(WorkspaceRow.slug == slug))

    # Invitations

    def _pending(self, now: datetime) -> Select[InvitationRow]:
        return self._mine(InvitationRow).where(
            InvitationRow.accepted_at.is_(None),
            InvitationRow.revoked_at.is_(None),
            InvitationRow.expires_at > now,
        )

    async def invitations(self, after: str | None, limit: int) -> Sequence[InvitationRow]:
        return await self._page(self._mine(InvitationRow), InvitationRow, after, limit)

    async def invitation(self, invitation_id: str) -> InvitationRow | None:
        return await self._one(self._mine(InvitationRow).where(InvitationRow.id == invitation_id))

    async def pending_for(self, email: str, now: datetime) -> Sequence[InvitationRow]:
        with self._wall():
            return (await self._session.scalars(self._pending(now).where(InvitationRow.email == email))).all()

    async def count_pending(self, now: datetime) -> int:
        query = select(func.count()).select_from(self._pending(now).subquery())
        with self._wall():
            return await self._session.scalar(query) or 0

    async def open_invitation(
        self, digest: str, now: datetime
    ) -> tuple[InvitationRow, OrganizationRow] | None:
        """The invitation that a link's token belongs to, while it is good, and its organization."""
        query = (
            select(InvitationRow, OrganizationRow)
            .join(OrganizationRow, OrganizationRow.id == InvitationRow.org_id)
            .where(
                InvitationRow.token_digest == digest,
                InvitationRow.accepted_at.is_(None),
                InvitationRow.revoked_at.is_(None),
                InvitationRow.expires_at > now,
            )
        )
        with self._database.across_organizations():
            found = (await self._session.execute(query)).first()
        return (found[0], found[1]) if found else None

    async def use_invitation(self, invitation_id: str, digest: str, user_id: str, now: datetime) -> bool:
        """Mark an invitation as accepted; false when somebody else was quicker, or it was withdrawn."""
        query = (
            update(InvitationRow)
            .where(
                InvitationRow.org_id == self._org_id,
                InvitationRow.id == invitation_id,
                InvitationRow.token_digest == digest,
                InvitationRow.accepted_at.is_(None),
                InvitationRow.revoked_at.is_(None),
                InvitationRow.expires_at > now,
            )
            .values(accepted_at=now, accepted_by=user_id)
            .returning(InvitationRow.id)
            .execution_options(synchronize_session=False)
        )
        with self._wall():
            return await self._session.scalar(query) is not None
