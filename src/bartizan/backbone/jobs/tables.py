"""Tables of jobs: one row is at once outbox, queue entry, lease and dead letter."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from bartizan.foundation.database import Table

PLATFORM = "platform"
"""The lane of jobs that belong to no organization."""


def _only(condition: str) -> dict[str, Any]:
    return {"postgresql_where": text(condition), "sqlite_where": text(condition)}


class JobRow(Table):
    """One job. Not walled: workers claim across organizations; listing filters by lane."""

    __tablename__ = "bz_jobs"

    id: Mapped[str] = mapped_column(String(30), primary_key=True)
    org_id: Mapped[str | None] = mapped_column(String(30))
    lane: Mapped[str] = mapped_column(String(30))
    """The organization, or ``platform``: the unit of fairness. Never null, so that it can be indexed."""
    queue: Mapped[str] = mapped_column(String(40))
    kind: Mapped[str] = mapped_column(String(120))
    payload: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(9))
    """``waiting`` until ``run_at``, ``ready``, ``leased``, and then ``done``, ``dead`` or ``cancelled``."""
    priority: Mapped[int]
    run_at: Mapped[datetime]
    attempts: Mapped[int]
    """Attempts begun: spent at the claim, so that a job which kills its worker runs out of them too."""
    max_attempts: Mapped[int]
    timeout: Mapped[float]
    lease_until: Mapped[datetime | None]
    lease_token: Mapped[str | None] = mapped_column(String(32))
    """New at every claim. Writes of workers name it, so one that lost its lease writes nothing."""
    unique_key: Mapped[str | None] = mapped_column(String(200))
    last_error: Mapped[str | None] = mapped_column(Text)
    fingerprint: Mapped[str | None] = mapped_column(String(16))
    """The same for failures that differ only in ids and numbers."""
    correlation_id: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    # Partial indexes hold only the rows of their state: the history of done jobs costs the claim nothing.
    __table_args__ = (
        Index(
            "ix_bz_jobs_ready",
            "queue",
            "lane",
            text("priority DESC"),
            "run_at",
            "id",
            **_only("state = 'ready'"),
        ),
        Index("ix_bz_jobs_waiting", "run_at", **_only("state = 'waiting'")),
        Index("ix_bz_jobs_leased", "lane", "lease_until", **_only("state = 'leased'")),
        Index("ix_bz_jobs_dead", "lane", "fingerprint", **_only("state = 'dead'")),
        Index("ix_bz_jobs_finished", "finished_at", **_only("state IN ('done', 'dead', 'cancelled')")),
        Index(
            "uq_bz_jobs_live_key",
            "lane",
            "unique_key",
            unique=True,
            **_only("state IN ('waiting', 'ready', 'leased') AND unique_key IS NOT NULL"),
        ),
        Index("ix_bz_jobs_lane", "lane", "id"),
    )


class ScheduleRow(Table):
    """Something that becomes a job again and again."""

    __tablename__ = "bz_jobs_schedules"

    id: Mapped[str] = mapped_column(String(30), primary_key=True)
    org_id: Mapped[str | None] = mapped_column(String(30))
    lane: Mapped[str] = mapped_column(String(30))
    name: Mapped[str] = mapped_column(String(120))
    kind: Mapped[str] = mapped_column(String(120))
    payload: Mapped[dict[str, Any]]
    cron: Mapped[str | None] = mapped_column(String(120))
    every: Mapped[float | None]
    zone: Mapped[str] = mapped_column(String(64))
    catch_up: Mapped[str] = mapped_column(String(4))
    fixed: Mapped[bool]
    """Declared by the program, not by an organization."""
    active: Mapped[bool]
    next_run: Mapped[datetime]
    last_run: Mapped[datetime | None]
    created_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("lane", "name"),
        Index("ix_bz_jobs_schedules_due", "active", "next_run"),
    )
