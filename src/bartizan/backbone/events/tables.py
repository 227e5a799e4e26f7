"""Tables of events: the facts themselves, the head of each sequence, and what consumers have seen."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from bartizan.foundation.database import Table


class EventRow(Table):
    """One announced fact. The row is the truth; a wake-up only says that there is news."""

    __tablename__ = "bz_events"
    __table_args__ = (
        Index(None, "stream", "timestamp"),
        Index(None, "stream", "type", "sequence"),
    )

    stream: Mapped[str] = mapped_column(String(30), primary_key=True)
    """The organization's id, or ``platform``. No foreign key: a fact outlives what it is about."""
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Counts from 1 in each stream, in the order of commits and without gaps."""
    id: Mapped[str] = mapped_column(String(30), unique=True)
    type: Mapped[str] = mapped_column(String(100))
    source: Mapped[str] = mapped_column(String(200))
    user_id: Mapped[str | None] = mapped_column(String(30))
    timestamp: Mapped[datetime]
    data: Mapped[dict[str, Any]]
    correlation_id: Mapped[str | None] = mapped_column(String(200))
    compliance_level: Mapped[str] = mapped_column(String(16))
    extra: Mapped[dict[str, Any]] = mapped_column("metadata")


class EventHeadRow(Table):
    """The last sequence number given in a stream; updating it makes writers of one stream take turns."""

    __tablename__ = "bz_events_heads"

    stream: Mapped[str] = mapped_column(String(30), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger)


class EventInboxRow(Table):
    """An event that a consumer has already acted on."""

    __tablename__ = "bz_events_inbox"

    consumer: Mapped[str] = mapped_column(String(100), primary_key=True)
    event_id: Mapped[str] = mapped_column(String(30), primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(index=True)
