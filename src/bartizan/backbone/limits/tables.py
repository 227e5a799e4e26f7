"""Tables of limits: what was set, what was refused, and when that was last told."""

from datetime import datetime

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from bartizan.foundation.database import OrgTable


class LimitRow(OrgTable):
    """A limit set for an organization or for something in it."""

    __tablename__ = "bz_limits"
    __table_args__ = (UniqueConstraint("org_id", "scope", "target"),)

    id: Mapped[str] = mapped_column(String(30), primary_key=True)
    scope: Mapped[str] = mapped_column(String(12))
    target: Mapped[str] = mapped_column(String(200))
    """Empty for what holds for the whole organization."""
    rate: Mapped[str] = mapped_column(String(60))
    set_by: Mapped[str | None] = mapped_column(String(30))
    updated_at: Mapped[datetime]


class ViolationRow(OrgTable):
    """How often one limit refused within one minute, in all processes together."""

    __tablename__ = "bz_limits_violations"
    __table_args__ = (UniqueConstraint("org_id", "minute", "scope", "target"),)

    id: Mapped[str] = mapped_column(String(30), primary_key=True)
    minute: Mapped[datetime]
    scope: Mapped[str] = mapped_column(String(12))
    target: Mapped[str] = mapped_column(String(200))
    rate: Mapped[str] = mapped_column(String(60))
    count: Mapped[int]


class AlertRow(OrgTable):
    """When refusals of one scope were last announced, by whichever process did."""

    __tablename__ = "bz_limits_alerts"
    __table_args__ = (UniqueConstraint("org_id", "scope"),)

    id: Mapped[str] = mapped_column(String(30), primary_key=True)
    scope: Mapped[str] = mapped_column(String(12))
    told_at: Mapped[datetime]
