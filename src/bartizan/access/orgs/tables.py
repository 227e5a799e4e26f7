"""Tables of organizations and of everything that belongs to one."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, ForeignKeyConstraint, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from bartizan.foundation.database import OrgTable, Table


class OrganizationRow(Table):
    """A tenant. Its id is the ``org_id`` of every row behind the tenant walls.

    A host's own table that refers to it with ``ON DELETE CASCADE`` goes with it.
    """

    __tablename__ = "bz_orgs"

    id: Mapped[str] = mapped_column(String(30), primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    slug: Mapped[str] = mapped_column(String(60), unique=True)
    plan: Mapped[str] = mapped_column(String(20))
    settings: Mapped[dict[str, Any]]
    limits: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class _OfOrganization(OrgTable):
    """A row that is deleted with its organization."""

    __abstract__ = True

    org_id: Mapped[str] = mapped_column(String(30), ForeignKey("bz_orgs.id", ondelete="CASCADE"), index=True)


class MembershipRow(_OfOrganization):
    """One person in one organization."""

    __tablename__ = "bz_orgs_members"
    __table_args__ = (UniqueConstraint("org_id", "user_id"),)

    id: Mapped[str] = mapped_column(String(30), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(30), index=True)
    status: Mapped[str] = mapped_column(String(10))
    source: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime]


class TeamRow(_OfOrganization):
    """A group of members that work together."""

    __tablename__ = "bz_orgs_teams"
    __table_args__ = (UniqueConstraint("org_id", "slug"), UniqueConstraint("org_id", "id"))

    id: Mapped[str] = mapped_column(String(30), primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    slug: Mapped[str] = mapped_column(String(60))
    description: Mapped[str] = mapped_column(String(400))
    is_default: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class TeamMemberRow(_OfOrganization):
    """One member in one team; the role is kept with the other roles."""

    __tablename__ = "bz_orgs_team_members"
    __table_args__ = (
        UniqueConstraint("org_id", "team_id", "user_id"),
        ForeignKeyConstraint(
            ["org_id", "team_id"], ["bz_orgs_teams.org_id", "bz_orgs_teams.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(
            ["org_id", "user_id"],
            ["bz_orgs_members.org_id", "bz_orgs_members.user_id"],
            name="fk_bz_orgs_team_members_member",
            ondelete="CASCADE",
        ),
    )

    id: Mapped[str] = mapped_column(String(30), primary_key=True)
    team_id: Mapped[str] = mapped_column(String(30))
    user_id: Mapped[str] = mapped_column(String(30), index=True)
    created_at: Mapped[datetime]


class WorkspaceRow(_OfOrganization):
    """A place for a host's things, below a team or right below the organization."""

    __tablename__ = "bz_orgs_workspaces"
    __table_args__ = (
        UniqueConstraint("org_id", "slug"),
        UniqueConstraint("org_id", "id"),
        ForeignKeyConstraint(
            ["org_id", "team_id"], ["bz_orgs_teams.org_id", "bz_orgs_teams.id"], ondelete="CASCADE"
        ),
    )

    id: Mapped[str] = mapped_column(String(30), primary_key=True)
    team_id: Mapped[str | None] = mapped_column(String(30))
    name: Mapped[str] = mapped_column(String(120))
    slug: Mapped[str] = mapped_column(String(60))
    settings: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class InvitationRow(_OfOrganization):
    """A letter that lets its reader in, once."""

    __tablename__ = "bz_orgs_invitations"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "team_id"], ["bz_orgs_teams.org_id", "bz_orgs_teams.id"], ondelete="CASCADE"
        ),
    )

    id: Mapped[str] = mapped_column(String(30), primary_key=True)
    email: Mapped[str] = mapped_column(String(320), index=True)
    role: Mapped[str] = mapped_column(String(40))
    team_id: Mapped[str | None] = mapped_column(String(30))
    token_digest: Mapped[str] = mapped_column(String(64), unique=True)
    invited_by: Mapped[str | None] = mapped_column(String(30))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    accepted_by: Mapped[str | None] = mapped_column(String(30))
    revoked_at: Mapped[datetime | None]


class DomainRow(_OfOrganization):
    """An e-mail domain whose people join the organization when they register."""

    __tablename__ = "bz_orgs_domains"

    domain: Mapped[str] = mapped_column(String(253), primary_key=True)
    role: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[datetime]
