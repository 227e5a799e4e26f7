"""What time it is, replaceable so that tests can travel, and what is remembered for a while."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


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


class Recent(Generic[K, V]):
    """Answers remembered for some seconds, so many at most: beyond that the oldest goes.

    An answer is asked for with :attr:`generation` in hand and kept only if nothing was dropped while
    it was fetched; else a slow reader would put back what a change has just removed.
    """

    def __init__(self, clock: Clock, *, seconds: float = 5.0, size: int = 10_000) -> None:
        self._clock = clock
        self._seconds = seconds
        self._size = size
        self._held: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self.generation = 0

    def get(self, key: K) -> V | None:
        """Give the answer, or none when it is unknown or too old."""
        found = self._held.get(key)
        if found is None:
            return None
        if self._clock.monotonic() >= found[0]:
            del self._held[key]
            return None
        return found[1]

    def put(self, key: K, value: V, generation: int) -> None:
        """Remember an answer that was fetched in this generation."""
        if generation != self.generation:
            return
        self._held[key] = (self._clock.monotonic() + self._seconds, value)
        self._held.move_to_end(key)
        if len(self._held) > self._size:
            self._held.popitem(last=False)

    def drop(self, which: Callable[[K], bool] | None = None) -> None:
        """Forget the keys for which ``which`` says so, or everything."""
        self.generation += 1
        if which is None:
            self._held.clear()
            return
        for key in [key for key in self._held if which(key)]:
            del self._held[key]
