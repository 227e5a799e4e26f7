"""Tables of rules about addresses."""

from datetime import datetime

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from bartizan.foundation.database import OrgTable, Table


class _Rule:
    """What a rule says, whoever made it."""

    id: Mapped[str] = mapped_column(String(30), primary_key=True)
    role: Mapped[str | None] = mapped_column(String(40))
    addresses: Mapped[list[str]]
    """In canonical form, and as they were ordered."""
    callers: Mapped[list[str]]
    note: Mapped[str] = mapped_column(String(400))
    enabled: Mapped[bool]
    created_by: Mapped[str | None] = mapped_column(String(30))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class IpRuleRow(_Rule, OrgTable):
    """A rule of one organization."""

    __tablename__ = "bz_ip_allowlist"


class GlobalIpRuleRow(_Rule, Table):
    """A rule of the whole platform."""

    __tablename__ = "bz_ip_allowlist_global"


class IpVersionRow(Table):
    """Which rules changed when: each change has the next number, so that replicas notice what is new."""

    __tablename__ = "bz_ip_allowlist_versions"

    scope: Mapped[str] = mapped_column(String(30), primary_key=True)
    """The organization's id; ``global``; or ``*``, which holds the last number given."""
    version: Mapped[int] = mapped_column(BigInteger, index=True)
