"""What this room announces."""

from dataclasses import dataclass
from typing import ClassVar

from bartizan.foundation.capability import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDied(Event):
    """A job failed for good and waits among the dead letters."""

    target: ClassVar[str | None] = "job_id"
    outcome: ClassVar = "failure"

    job_id: str
    kind: str
    attempts: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRetried(Event):
    """Somebody sent a dead job round again."""

    target: ClassVar[str | None] = "job_id"

    job_id: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCancelled(Event):
    """Somebody cancelled a job."""

    target: ClassVar[str | None] = "job_id"

    job_id: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadJobsRetried(Event):
    """Somebody sent dead jobs round again, all at once."""

    count: int
    kind: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadJobsPurged(Event):
    """Somebody threw dead jobs away."""

    count: int
    kind: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleCreated(Event):
    """A schedule was created."""

    target: ClassVar[str | None] = "schedule_id"

    schedule_id: str
    schedule_name: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulePaused(Event):
    """A schedule fires no more until it is resumed."""

    target: ClassVar[str | None] = "schedule_id"

    schedule_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleResumed(Event):
    """A paused schedule fires again."""

    target: ClassVar[str | None] = "schedule_id"

    schedule_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleStarted(Event):
    """Somebody started the work of a schedule by hand."""

    target: ClassVar[str | None] = "schedule_id"

    schedule_id: str
    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleDeleted(Event):
    """A schedule was deleted."""

    target: ClassVar[str | None] = "schedule_id"

    schedule_id: str
