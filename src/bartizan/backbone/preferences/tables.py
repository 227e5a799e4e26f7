"""Tables of preferences: one row per value that somebody set."""

from datetime import datetime

from sqlalchemy import String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from bartizan.foundation.database import OrgTable, Table


class PreferenceRow(OrgTable):
    """A value set for an organization, one of its teams, or one of its people."""

    __tablename__ = "bz_preferences"
    __table_args__ = (UniqueConstraint("org_id", "owner_id", "key"),)

    id: Mapped[str] = mapped_column(String(30), primary_key=True)
    level: Mapped[str] = mapped_column(String(12))
    owner_id: Mapped[str] = mapped_column(String(40))
    key: Mapped[str] = mapped_column(String(80))
    value: Mapped[str] = mapped_column(Text)
    """JSON text: a JSON ``null`` is a value, and differs from no value."""
    updated_at: Mapped[datetime]


class GlobalPreferenceRow(Table):
    """A value set for the whole platform."""

    __tablename__ = "bz_preferences_global"

    key: Mapped[str] = mapped_column(String(80), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[datetime]
