"""Counting for all processes together, and what holds while that is not possible."""

import os
import socket
from collections.abc import Collection

from bartizan.backbone.limits.errors import LimitsUnavailable, SharedLimitsGone
from bartizan.backbone.limits.events import LimitsDegraded, LimitsRecovered
from bartizan.backbone.limits.types import Bucket, Shared, Verdict
from bartizan.foundation.capability import Event
from bartizan.foundation.clock import Clock
from bartizan.foundation.telemetry import Metrics, logger

from .memory import Memory

_FAILURES = 3

_log = logger(__name__)


class Sharing:
    """Asks the shared place; after three failures in a row leaves it alone until :meth:`look` finds it back.

    Meanwhile a request costs no attempt and no time-out: limits that are to stay open are counted in this
    process, the others refuse. A single failure is counted in this process too.
    """

    def __init__(
        self,
        shared: Shared,
        memory: Memory,
        *,
        closed: Collection[str],
        clock: Clock,
        metrics: Metrics | None,
    ) -> None:
        self._shared = shared
        self._memory = memory
        self._closed = frozenset(closed)
        self._clock = clock
        self._failed = 0
        self._gone_since: float | None = None
        self._news: list[Event] = []
        self._process = f"{socket.gethostname()[:60]}:{os.getpid()}"
        self._outages = metrics and metrics.counter(
            "limits_outages", "Times that Redis stopped counting limits for this process."
        )
        self._alone = metrics and metrics.counter(
            "limits_unshared", "Requests whose limits were not counted in Redis.", ["outcome"]
        )

    @property
    def degraded(self) -> bool:
        """Whether the shared place is left alone now."""
        return self._gone_since is not None

    async def take(self, buckets: tuple[Bucket, ...]) -> Verdict:
        """Take one from every bucket, or nothing from any."""
        if self._gone_since is None:
            try:
                verdict = await self._shared.take(buckets)
            except SharedLimitsGone as error:
                self._fail(error)
            else:
                self._failed = 0
                return verdict
        return self._without(buckets)

    async def look(self) -> list[Event]:
        """See whether the shared place is back; give what is to be announced since the last look."""
        if self._gone_since is not None:
            try:
                await self._shared.ping()
            except SharedLimitsGone:
                pass
            else:
                seconds = round(self._clock.monotonic() - self._gone_since)
                self._gone_since, self._failed = None, 0
                self._news.append(LimitsRecovered(process=self._process, seconds=seconds))
                _log.info("limits are shared again", seconds=seconds)
        news, self._news = self._news, []
        return news

    def put_back(self, news: Collection[Event]) -> None:
        """Keep what could not be announced for the next look; at most the last 100."""
        self._news = [*news, *self._news][-100:]

    async def close(self) -> None:
        """Let go of every connection."""
        await self._shared.close()

    def _fail(self, error: SharedLimitsGone) -> None:
        self._failed += 1
        if self._failed < _FAILURES or self._gone_since is not None:
            return
        self._gone_since = self._clock.monotonic()
        self._news.append(LimitsDegraded(process=self._process, closed=tuple(sorted(self._closed))))
        if self._outages:
            self._outages.add()
        _log.error("limits are not shared: Redis does not answer", error=str(error))

    def _without(self, buckets: tuple[Bucket, ...]) -> Verdict:
        for bucket in buckets:
            if bucket.name in self._closed:
                if self._alone:
                    self._alone.add("refused")
                message = (
                    f"The limit of this {bucket.name} cannot be counted: Redis (BARTIZAN_REDIS) does not "
                    f"answer. BARTIZAN_LIMITS__ON_FAILURE__{bucket.name.upper()}=open would count it in each "
                    "process meanwhile."
                )
                raise LimitsUnavailable(message, scope=bucket.name)
        if self._alone:
            self._alone.add("counted")
        return self._memory.take(buckets)
