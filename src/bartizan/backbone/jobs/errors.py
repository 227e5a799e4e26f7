"""How this room refuses, and what a handler raises to steer its own job."""

from bartizan.foundation.errors import BartizanError, Conflict, Fault, Invalid, NotFound


class UnknownJob(NotFound):
    """No such job in this organization."""


class UnknownSchedule(NotFound):
    """No such schedule in this organization."""


class UnknownKind(Invalid):
    """No handler of this kind may be scheduled by an organization."""


class JobNotRetriable(Conflict):
    """Only a dead or cancelled job can be tried again."""


class JobFinished(Conflict):
    """The job is over, so it cannot be cancelled."""


class ScheduleFixed(Conflict):
    """The schedule is part of the program: pause it instead of deleting it."""


class ScheduleNameTaken(Conflict):
    """Another schedule of this organization has that name."""


class TooManySchedules(Conflict):
    """The organization has as many schedules as it may."""


class PayloadRefused(Invalid):
    """The payload is not JSON, or it is too large: store the data and pass its id."""


class BadSchedule(Invalid):
    """The schedule needs either a five-field cron expression or an interval, and a known time zone."""


class HandlerTaken(Fault):
    """Another handler already does this kind of job."""


class LeaseLost(Fault):
    """The job was cancelled, or another worker owns it now: what this attempt did must not be kept."""


class RetryLater(BartizanError):
    """Raised by a handler: try this job again after ``after`` seconds.

    With ``spend=False`` the attempt is given back, for a wait that is nobody's failure, such as an
    open circuit breaker or a rate limit.
    """

    def __init__(self, detail: str = "", *, after: float, spend: bool = True) -> None:
        """Wait ``after`` seconds."""
        super().__init__(detail, after=after, spend=spend)
        self.after = after
        self.spend = spend


class GiveUp(BartizanError):
    """Raised by a handler: this job can never succeed, so it is dead at once."""
