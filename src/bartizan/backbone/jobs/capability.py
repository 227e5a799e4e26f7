"""What this room brings to the house."""

from bartizan.foundation.capability import Capability

from .checks import CHECKS
from .errors import (
    BadSchedule,
    HandlerTaken,
    JobFinished,
    JobNotRetriable,
    LeaseLost,
    PayloadRefused,
    ScheduleFixed,
    ScheduleNameTaken,
    TooManySchedules,
    UnknownJob,
    UnknownKind,
    UnknownSchedule,
)
from .events import (
    DeadJobsPurged,
    DeadJobsRetried,
    JobCancelled,
    JobDied,
    JobRetried,
    ScheduleCreated,
    ScheduleDeleted,
    SchedulePaused,
    ScheduleResumed,
    ScheduleStarted,
)
from .routes import routes
from .service import READ, WRITE, Jobs
from .settings import JobsSettings
from .tables import JobRow, ScheduleRow

capability = Capability(
    name="jobs",
    summary="Work done later: a durable queue, schedules and dead letters",
    tables=[JobRow, ScheduleRow],
    permissions=[READ, WRITE],
    events=[
        DeadJobsPurged,
        DeadJobsRetried,
        JobCancelled,
        JobDied,
        JobRetried,
        ScheduleCreated,
        ScheduleDeleted,
        SchedulePaused,
        ScheduleResumed,
        ScheduleStarted,
    ],
    errors=[
        BadSchedule,
        HandlerTaken,
        JobFinished,
        JobNotRetriable,
        LeaseLost,
        PayloadRefused,
        ScheduleFixed,
        ScheduleNameTaken,
        TooManySchedules,
        UnknownJob,
        UnknownKind,
        UnknownSchedule,
    ],
    routes=routes,
    jobs={"jobs.sweep": Jobs.sweep},
    settings=JobsSettings,
    checks=CHECKS,
)
