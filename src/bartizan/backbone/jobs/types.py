"""What goes in and out: the same shapes in Python, HTTP, the SDKs and MCP."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

State = Literal["waiting", "ready", "leased", "done", "dead", "cancelled"]
CatchUp = Literal["skip", "once"]


class _Record(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True)


class Job(_Record):
    """One job, without its payload."""

    id: str
    org_id: str | None = Field(description="The organization it belongs to; null for the platform's own.")
    queue: str
    kind: str
    state: State = Field(description="`waiting` for its time, `ready`, `leased` (running), or how it ended.")
    priority: int = Field(description="Higher goes first within its organization.")
    run_at: datetime = Field(description="Not before this moment.")
    attempts: int = Field(description="Attempts begun so far.")
    max_attempts: int
    timeout: float = Field(description="Seconds that one attempt may take.")
    unique_key: str | None
    last_error: str | None
    fingerprint: str | None = Field(description="The same for failures that differ only in ids and numbers.")
    correlation_id: str | None = Field(description="The request that asked for it.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobDetail(Job):
    """One job; its payload is shown only where its handler declared it readable."""

    payload: dict[str, Any] | None


class Failure(_Record):
    """Dead jobs that failed in the same way."""

    kind: str
    fingerprint: str | None
    count: int
    first: datetime
    last: datetime
    error: str | None


class Counts(_Record):
    """How the queue is doing. Latencies are over the latest 1,000 jobs done, in seconds."""

    pending: int = Field(description="Waiting for their time or for a worker.")
    running: int
    failed: int = Field(description="Of those pending: have failed before and will be tried again.")
    dead: int
    oldest: float | None = Field(description="Seconds that the longest overdue job has waited.")
    wait_p50: float | None = Field(description="From due to begun.")
    wait_p95: float | None
    run_p50: float | None = Field(description="From begun to done.")
    run_p95: float | None


class Affected(_Record):
    """How many jobs were changed."""

    count: int


class NewSchedule(BaseModel):
    """A schedule to be created; give either ``cron`` or ``every``."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=120, examples=["nightly-export"])
    kind: str = Field(min_length=1, max_length=120, examples=["export.run"])
    payload: dict[str, Any] = Field(default_factory=dict)
    cron: str | None = Field(
        default=None, max_length=120, examples=["30 2 * * *"], description="Five fields."
    )
    every: float | None = Field(default=None, ge=1, le=31_536_000, description="Seconds.")
    zone: str = Field(default="UTC", max_length=64, examples=["Europe/Berlin"])
    catch_up: CatchUp = Field(default="skip", description="What to do about runs missed while nothing ran.")


class Schedule(_Record):
    """One schedule and when it fires next."""

    id: str
    org_id: str | None
    name: str
    kind: str
    cron: str | None
    every: float | None
    zone: str
    catch_up: CatchUp
    fixed: bool = Field(description="Declared by the program: it can be paused, not deleted.")
    active: bool
    next_run: datetime
    last_run: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a worker holds of a job while it runs it."""

    id: str
    org_id: str | None
    lane: str
    queue: str
    kind: str
    payload: dict[str, Any]
    priority: int
    run_at: datetime
    attempts: int
    max_attempts: int
    timeout: float
    lease_token: str
    correlation_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one attempt: the write that ends a lease."""

    job: Claimed
    state: State
    attempts: int
    wait: float = 0.0
    """Seconds until it may run again."""
    error: str | None = None
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a worker would like to claim."""

    queues: Sequence[str]
    want: int
    after: str = ""
    """The organization served last: the next one is first now."""
    share: int = 1_000_000
    """At most so many jobs of one organization in this turn."""
    full: Sequence[str] = ()
    """Organizations that have their share of this worker already."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one exchange with the table gave a worker."""

    claimed: Sequence[Claimed] = ()
    fenced: int = 0
    """Outcomes refused, because the lease had gone to somebody else."""
    busy: bool = False
    """Another worker was claiming: ask again in a moment."""


def percentile(values: Sequence[float], share: float) -> float | None:
    """Give the value below which ``share`` of the values lie; none of none."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 6) if ordered else None
