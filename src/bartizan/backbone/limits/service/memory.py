"""Counting in this process, by the generic cell rate algorithm.

For each bucket one number is kept: the moment at which it is at rest again (the theoretical arrival time
of ITU-T I.371, annex A). A request moves it one increment into the future, and is refused when that would be
further ahead than the whole burst costs. Times are whole microseconds, which a float holds exactly.
"""

from typing import Final

from bartizan.backbone.limits.types import Bucket, Verdict
from bartizan.foundation.clock import Clock
from bartizan.foundation.settings import MICROSECOND

_FEW: Final = 1024
_PLACES: Final = 1024
_REST: Final = MICROSECOND // 4


class Shelf:
    """Buckets that are not at rest; one at rest is as one that was never seen, and is forgotten.

    When ``most`` are held, newcomers share 1,024 places for each kind of limit, drawn by Python's keyed hash:
    what is counted there belongs to several, so a limit can come early for them but never late, and whoever
    is held already notices nothing.
    """

    __slots__ = ("_most", "_rested", "crowd", "held", "mark")

    def __init__(self, most: int) -> None:
        self._most = most
        self._rested = 0.0
        self.held: dict[str, float] = {}
        self.crowd: dict[tuple[str, int], float] = {}
        self.mark = min(_FEW, most)
        """How many may be held before it is time to tidy."""

    def rest_of(self, bucket: Bucket) -> float:
        """Tell when a bucket that is not held is at rest: now, unless it shares a place."""
        return self.crowd.get(_place(bucket), 0.0) if self.crowd else 0.0

    def put(self, bucket: Bucket, now: float, rest: float) -> None:
        """Hold a newcomer, or count it where newcomers share."""
        if len(self.held) >= self.mark:
            self.tidy(now)
        if len(self.held) < self._most:
            self.held[bucket.key] = rest
        else:
            place = _place(bucket)
            self.crowd[place] = max(self.crowd.get(place, 0.0), now) + bucket.increment

    def tidy(self, now: float) -> None:
        """Forget what is at rest: a millisecond for ten thousand, at most four times a second."""
        if now < self._rested:
            return
        self._rested = now + _REST
        self.held = held = {key: rest for key, rest in self.held.items() if rest > now}
        self.crowd = {place: rest for place, rest in self.crowd.items() if rest > now}
        self.mark = min(self._most, max(_FEW, 2 * len(held)))


def _place(bucket: Bucket) -> tuple[str, int]:
    return bucket.name, hash(bucket.key) % _PLACES


class Memory:
    """Counts in this process alone; every method is for the one thread of the event loop."""

    def __init__(self, clock: Clock, *, most_callers: int, most_addresses: int) -> None:
        """Verified callers and strangers have shelves of their own, so that none can crowd out the other."""
        self._clock = clock
        self._shelves = (Shelf(most_callers), Shelf(most_addresses))

    def __len__(self) -> int:
        """Tell how many numbers are held."""
        return sum(len(shelf.held) + len(shelf.crowd) for shelf in self._shelves)

    def take(self, buckets: tuple[Bucket, ...]) -> Verdict:
        """Take one from every bucket, or nothing from any."""
        now = self._clock.monotonic() * MICROSECOND // 1
        shelves = self._shelves
        levels: list[float] = []
        for bucket in buckets:
            shelf = shelves[bucket.shelf]
            rest = shelf.held.get(bucket.key)
            if rest is None:
                rest = shelf.rest_of(bucket) if shelf.crowd else 0.0
            level = rest - now
            if level <= 0.0:
                level = 0.0
            elif level > bucket.tolerance:
                return self._refuse(buckets, now)
            levels.append(level + bucket.increment)
        for bucket, level in zip(buckets, levels, strict=True):
            shelf = shelves[bucket.shelf]
            if bucket.key in shelf.held:
                shelf.held[bucket.key] = now + level
            else:
                shelf.put(bucket, now, now + level)
        return Verdict(buckets, levels)

    def tidy(self) -> None:
        """Forget what is at rest, so that memory follows what is going on."""
        now = self._clock.monotonic() * MICROSECOND // 1
        for shelf in self._shelves:
            shelf.tidy(now)

    def _refuse(self, buckets: tuple[Bucket, ...], now: float) -> Verdict:
        """Say which bucket has to be waited for longest, and leave all as they are."""
        levels: list[float] = []
        refused, longest = None, 0.0
        for bucket in buckets:
            shelf = self._shelves[bucket.shelf]
            rest = shelf.held.get(bucket.key)
            level = max(0.0, (shelf.rest_of(bucket) if rest is None else rest) - now)
            if level > bucket.full:
                # The clock was set back, or the rate was changed: wait for a full bucket, not for ever.
                level = float(bucket.full)
                if rest is not None:
                    shelf.held[bucket.key] = now + level
            levels.append(level)
            if level - bucket.tolerance > longest:
                refused, longest = bucket, level - bucket.tolerance
        return Verdict(buckets, levels, refused, longest)
