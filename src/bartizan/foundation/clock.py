"""What time it is; replaceable, so that tests can travel."""

import time
from datetime import UTC, datetime, timedelta
from typing import ClassVar


class Clock:
    """The machine's clock."""

    steered: ClassVar[bool] = False
    """Whether a test moves it. What goes by the database's clock otherwise then goes by this one."""

    def now(self) -> datetime:
        """Tell the time, aware and in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Count seconds that never run backwards, for measuring and for caches."""
        return time.monotonic()


class ManualClock(Clock):
    """A clock that moves only when told to."""

    steered = True

    def __init__(self, start: datetime | None = None) -> None:
        """Start at ``start``, or at the present second."""
        self._now = start or datetime.now(UTC).replace(microsecond=0)
        self._ticks = 0.0

    def now(self) -> datetime:
        """Tell the time it was told."""
        return self._now

    def monotonic(self) -> float:
        """Count the seconds it was moved forward."""
        return self._ticks

    def advance(self, seconds: float) -> None:
        """Move forward."""
        self._now += timedelta(seconds=seconds)
        self._ticks += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back, as NTP or an operator may; no time passes."""
        self._now += timedelta(seconds=seconds)
