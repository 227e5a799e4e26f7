"""Tables of roles, of who has them, and of what is granted or denied beyond them."""

from datetime import datetime

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from bartizan.foundation.database import OrgTable

WHOLE = ""
"""Stands for "no team" in ``team_id``: a null would be different from every other null."""


class RoleRow(OrgTable):
    """A role that an organization made for itself."""

    __tablename__ = "bz_rbac_roles"
    __table_args__ = (UniqueConstraint("org_id", "name"),)

    id: Mapped[str] = mapped_column(String(30), primary_key=True)
    name: Mapped[str] = mapped_column(String(40))
    description: Mapped[str] = mapped_column(String(400))
    permissions: Mapped[list[str]]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class AssignmentRow(OrgTable):
    """One role of one person in an organization or in one of its teams."""

    __tablename__ = "bz_rbac_assignments"
    __table_args__ = (UniqueConstraint("org_id", "user_id", "team_id", "role"),)

    id: Mapped[str] = mapped_column(String(30), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(30), index=True)
    team_id: Mapped[str] = mapped_column(String(30), default=WHOLE)
    role: Mapped[str] = mapped_column(String(40))
    active: Mapped[bool] = mapped_column(default=True)
    """False while the person is suspended: the role is remembered and gives nothing."""
    created_at: Mapped[datetime]


class GrantRow(OrgTable):
    """One permission that a person has, or has not, whatever the roles say."""

    __tablename__ = "bz_rbac_grants"
    __table_args__ = (UniqueConstraint("org_id", "user_id", "permission"),)

    id: Mapped[str] = mapped_column(String(30), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(30), index=True)
    permission: Mapped[str] = mapped_column(String(100))
    allowed: Mapped[bool]
    reason: Mapped[str] = mapped_column(String(400))
    granted_by: Mapped[str | None] = mapped_column(String(30))
    created_at: Mapped[datetime]
