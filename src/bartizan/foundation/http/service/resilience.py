"""Retries, circuit breakers and deadlines; each can be used alone, also by a host's own code."""

import asyncio
import random
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeVar

from bartizan.foundation.clock import Clock
from bartizan.foundation.errors import Unavailable
from bartizan.foundation.http.errors import AnswerTooLarge, CircuitOpen, TookTooLong

T = TypeVar("T")
State = Literal["closed", "open", "half-open"]
_MOST_BREAKERS = 1024
_NEVER = (AnswerTooLarge, CircuitOpen)


def transient(error: Exception) -> bool:
    """Tell whether the same attempt may succeed a little later."""
    return isinstance(error, Unavailable) and not isinstance(error, _NEVER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Tries again after a failure that may pass, waiting longer each time.

    The wait is drawn between zero and its ceiling ("full jitter"), so that many who failed together do
    not come back together.
    """

    attempts: int = 3
    first: float = 0.2
    """Ceiling of the first wait, in seconds."""
    factor: float = 2
    longest: float = 10
    """Ceiling of every wait, in seconds; a server's own Retry-After is kept up to here."""
    when: Callable[[Exception], bool] = transient
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    draw: Callable[[float, float], float] = random.uniform

    async def call(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Await ``attempt()`` until it succeeds; the last failure is raised."""
        for number in range(1, self.attempts):
            try:
                return await attempt()
            except Exception as error:
                if not self.when(error):
                    raise
                await self.sleep(self._wait(number, error))
        return await attempt()

    def _wait(self, number: int, error: Exception) -> float:
        drawn = self.draw(0, min(self.longest, self.first * self.factor ** (number - 1)))
        asked = getattr(error, "facts", {}).get("retry_after")
        return max(drawn, min(float(asked), self.longest)) if isinstance(asked, int | float) else drawn


class Breaker:
    """Leaves something alone that keeps failing: ``async with breaker.using():`` around each use.

    After ``failures`` in a row it is open for ``seconds``, and every use raises :class:`CircuitOpen` at
    once. Then it is half open: one use is let through, and decides.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        failures: int = 5,
        seconds: float = 30,
        counts: Callable[[Exception], bool] = lambda error: isinstance(error, Unavailable),
    ) -> None:
        """``counts`` tells which exceptions are failures of the other side."""
        self._clock = clock
        self._limit = failures
        self._seconds = seconds
        self._counts = counts
        self._failed = 0
        self._opened_at: float | None = None
        self._probing = False

    @property
    def state(self) -> State:
        """Whether uses are let through, refused, or one is awaited."""
        if self._opened_at is None:
            return "closed"
        return "open" if self._remaining() > 0 else "half-open"

    @asynccontextmanager
    async def using(self) -> AsyncGenerator[None]:
        """Learn from how the block ends; one that was cancelled teaches nothing."""
        probe = self._opened_at is not None
        if probe:
            if self._probing or self._remaining() > 0:
                raise CircuitOpen(retry_after=max(1, round(self._remaining())))
            self._probing = True
        try:
            yield
        except Exception as error:
            if self._counts(error):
                self._fail(probe=probe)
            else:
                self._failed, self._opened_at = 0, None
            raise
        else:
            self._failed, self._opened_at = 0, None
        finally:
            self._probing = self._probing and not probe

    def _fail(self, *, probe: bool) -> None:
        self._failed += 1
        # Uses that began before it opened may still end; they do not keep it open longer.
        if probe or (self._opened_at is None and self._failed >= self._limit):
            self._opened_at = self._clock.monotonic()

    def _remaining(self) -> float:
        return (self._opened_at or 0) + self._seconds - self._clock.monotonic()


class Breakers:
    """One breaker for each name; of more than 1,024 names, those used longest ago are forgotten."""

    def __init__(
        self, *, clock: Clock, failures: int = 5, seconds: float = 30, most: int = _MOST_BREAKERS
    ) -> None:
        self._make = partial(Breaker, clock=clock, failures=failures, seconds=seconds)
        self._breakers: OrderedDict[str, Breaker] = OrderedDict()
        self._most = most

    def of(self, name: str) -> Breaker:
        """Give the breaker of ``name``."""
        breaker = self._breakers.get(name)
        if breaker is None:
            breaker = self._breakers[name] = self._make()
            if len(self._breakers) > self._most:
                self._breakers.popitem(last=False)
        self._breakers.move_to_end(name)
        return breaker


@asynccontextmanager
async def deadline(seconds: float, what: str = "this") -> AsyncGenerator[None]:
    """Cancel the block after ``seconds`` and raise :class:`TookTooLong`, naming ``what``."""
    timer = asyncio.timeout(seconds)
    try:
        async with timer:
            yield
    except TimeoutError as error:
        if not timer.expired():
            raise
        message = f"{what} took longer than {seconds:g} s."
        raise TookTooLong(message) from error
