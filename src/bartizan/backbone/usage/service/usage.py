"""Usage: ``bz.usage``."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

from bartizan.backbone.events import Events
from bartizan.backbone.usage.errors import InvalidRange
from bartizan.backbone.usage.settings import UsageSettings
from bartizan.backbone.usage.store import Band, Span, UsageStore, UsageWriter
from bartizan.backbone.usage.types import (
    Allowances,
    CallerAsked,
    CallerUsage,
    EndpointUsage,
    Grain,
    GrainAsked,
    Most,
    Org,
    Point,
    RawRequest,
    RouteAsked,
    Since,
    StatusAsked,
    StatusUsage,
    Summary,
    Until,
)
from bartizan.foundation.clock import Clock
from bartizan.foundation.database import Database
from bartizan.foundation.pages import Cursor, InvalidCursor, Limit, Page, cut, decode
from bartizan.foundation.telemetry import Metrics

from .access import reach
from .counting import DAY, HOUR, Counting
from .figures import figures, milliseconds
from .quotas import Quotas
from .scribe import Scribe
from .sheets import lines

_MONTHS_KEPT = 13
_POINTS = 1_000
"""Beyond so many hours, a range is shown by the day."""
_SERIES = ("start", "requests", "client_errors", "server_errors", "average_ms", "p50_ms", "p95_ms", "p99_ms")
_REQUESTS = (
    "time", "org_id", "method", "route", "status", "milliseconds", "caller_id", "request_id",
)  # fmt: skip


class Usage:
    """How much each organization uses the application: ``bz.usage``.

    Every request is counted in memory by its route's template, and written down about once a second by the
    hour and by the day, all replicas together. The latest requests are kept one by one. No path, query,
    body or secret is ever kept.
    """

    def __init__(
        self,
        database: Database,
        events: Events,
        settings: UsageSettings | None = None,
        *,
        clock: Clock,
        allowances: Allowances | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        """Count from now on; ``allowances`` tells what plans allow, and without it there are no quotas."""
        self._database = database
        self._settings = settings = settings or UsageSettings()
        self._clock = clock
        self._writer = UsageWriter(database)
        counting = Counting(settings, clock, metrics or Metrics())
        self.quotas = Quotas(database, events, counting, settings, clock=clock, allowances=allowances)
        self._scribe = Scribe(counting, self.quotas, self._writer, settings)
        if allowances is not None:
            counting.newcomer = self._scribe.hurry
        self.add = counting.add

    async def start(self) -> None:
        """Write down what is counted every so often from now on."""
        self._scribe.start()

    async def stop(self) -> None:
        """Write down what is left, and stop."""
        await self._scribe.stop()

    async def flush(self) -> None:
        """Write down everything that was counted before this call.

        If the database fails, all of it stays in memory, and the next call tries again; nothing counts twice.
        """
        await self._scribe.flush()

    @property
    def pending(self) -> int:
        """How many requests are counted and not written down: what a crash would lose now."""
        return self._scribe.pending

    # What is shown

    async def summary(self, since: Since = None, until: Until = None, org: Org = None) -> Summary:
        """Sum up all requests of a range: how many, how many failed, how long they took."""
        store, span = self._asked(org, since, until)
        found = figures(await store.bands(span))
        return Summary(**found.model_dump(), since=_moment(span.since), until=_moment(span.until))

    async def endpoints(
        self, since: Since = None, until: Until = None, org: Org = None, limit: Most = 50
    ) -> Sequence[EndpointUsage]:
        """List the endpoints of a range by method and route template, the busiest first."""
        store, span = self._asked(org, since, until)
        bands: dict[tuple[str, str], list[Band]] = {}
        for method, route, band in await store.endpoints(span, limit):
            bands.setdefault((method, route), []).append(band)
        shown = [
            EndpointUsage(**figures(found).model_dump(), method=method, route=route)
            for (method, route), found in bands.items()
        ]
        return sorted(shown, key=lambda one: (-one.requests, one.route, one.method))

    async def statuses(
        self, since: Since = None, until: Until = None, org: Org = None
    ) -> Sequence[StatusUsage]:
        """List how the requests of a range ended, by status."""
        store, span = self._asked(org, since, until)
        sums: dict[int, tuple[int, int]] = {}
        for found in await store.bands(span):
            requests, micros = sums.get(found.status, (0, 0))
            sums[found.status] = requests + found.requests, micros + found.micros
        return [
            StatusUsage(status=status, requests=requests, average_ms=milliseconds(micros / requests))
            for status, (requests, micros) in sorted(sums.items())
        ]

    async def callers(
        self, since: Since = None, until: Until = None, org: Org = None, limit: Most = 50
    ) -> Sequence[CallerUsage]:
        """List the people and keys of a range that sent most requests, the busiest first."""
        store, span = self._asked(org, since, until)
        return [
            CallerUsage(
                caller_id=found.caller_id,
                requests=found.requests,
                client_errors=found.client_errors,
                server_errors=found.server_errors,
                average_ms=milliseconds(found.micros / found.requests),
            )
            for found in await store.callers(span, limit)
        ]

    async def series(
        self, since: Since = None, until: Until = None, grain: GrainAsked = None, org: Org = None
    ) -> Sequence[Point]:
        """List a range hour by hour or day by day, the oldest first; what had no requests is there too."""
        store, span = self._asked(org, since, until, grain)
        return await self._points(store, span)

    async def requests(
        self,
        *,
        caller_id: CallerAsked = None,
        route: RouteAsked = None,
        status: StatusAsked = None,
        org: Org = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[RawRequest]:
        """List the latest requests one by one, the newest first; of several replicas, about so.

        The last 10,000 of an organization are kept, or what the operator has set.
        """
        store = UsageStore(self._database, reach(org))
        after = _place(cursor)
        found: list[tuple[RawRequest, str, int]] = []
        async with aclosing(self._latest(store, after)) as latest:
            async for one in latest:
                if _fits(one[0], caller_id, route, status):
                    found.append(one)
                    if len(found) > limit:
                        break
        page, following = cut(found, limit, lambda one: [one[1], one[2]])
        return Page(items=[shown for shown, *_ in page], next=following)

    async def series_csv(
        self, since: Since = None, until: Until = None, grain: GrainAsked = None, org: Org = None
    ) -> AsyncIterator[str]:
        """Export a range hour by hour or day by day as CSV."""
        store, span = self._asked(org, since, until, grain)

        async def points() -> AsyncGenerator[Point]:
            for point in await self._points(store, span):
                yield point

        return lines(_SERIES, points())

    async def requests_csv(
        self,
        *,
        caller_id: CallerAsked = None,
        route: RouteAsked = None,
        status: StatusAsked = None,
        org: Org = None,
    ) -> AsyncIterator[str]:
        """Export the latest requests one by one as CSV, the newest first."""
        store = UsageStore(self._database, reach(org))

        async def shown() -> AsyncGenerator[RawRequest]:
            async with aclosing(self._latest(store, None)) as latest:
                async for one, *_ in latest:
                    if _fits(one, caller_id, route, status):
                        yield one

        return lines(_REQUESTS, shown())

    async def prune(self) -> int:
        """Take away what is older than is kept, and say how many rows. For the schedule."""
        now = int(self._clock.now().timestamp())
        return await self._writer.prune(
            hours=now // HOUR * HOUR - self._settings.hourly_days * DAY,
            days=now // DAY * DAY - self._settings.daily_days * DAY,
            months=now - _MONTHS_KEPT * 31 * DAY,
            keep=self._settings.raw_requests,
        )

    async def _points(self, store: UsageStore, span: Span) -> Sequence[Point]:
        bands: dict[int, list[Band]] = {}
        for start, band in await store.series(span):
            bands.setdefault(start, []).append(band)
        step = _step(span.grain)
        return [
            Point(**figures(bands.get(start, ())).model_dump(), start=_moment(start))
            for start in range(span.since, span.until, step)
        ]

    async def _latest(
        self, store: UsageStore, after: tuple[str, int] | None
    ) -> AsyncGenerator[tuple[RawRequest, str, int]]:
        """Give single requests, the newest first, each with its place."""
        left = self._settings.raw_requests
        async with aclosing(store.bundles(after[0] if after else None)) as bundles:
            async for bundle in bundles:
                for place in range(len(bundle.requests) - 1, -1, -1):
                    if after is not None and bundle.id == after[0] and place >= after[1]:
                        continue
                    if left <= 0:
                        return
                    left -= 1
                    yield _single(bundle.org_id, *bundle.requests[place]), bundle.id, place

    def _asked(
        self, org: str | None, since: datetime | None, until: datetime | None, grain: Grain | None = None
    ) -> tuple[UsageStore, Span]:
        return UsageStore(self._database, reach(org)), self._span(since, until, grain)

    def _span(self, since: datetime | None, until: datetime | None, grain: Grain | None) -> Span:
        """Find the whole hours or days of a range, as far as figures are kept."""
        now = self._clock.now()
        oldest_hour = now - timedelta(days=self._settings.hourly_days)
        oldest = min(oldest_hour, now - timedelta(days=self._settings.daily_days))
        end = now if until is None else min(until, now)
        if end <= oldest or (since is not None and since >= end):
            raise InvalidRange(field="since")
        start = since or end - timedelta(days=30 if grain == "day" else 1)
        if grain is None:
            hours = (end - start) / timedelta(hours=1)
            grain = "hour" if start >= oldest_hour and hours <= _POINTS else "day"
        step = _step(grain)
        first = int(max(start, oldest_hour if grain == "hour" else oldest).timestamp()) // step * step
        last = -int(-end.timestamp() // step) * step
        if end == now:  # the hour or day that runs is part of it from its first moment on
            last = int(now.timestamp()) // step * step + step
        if first >= last:
            raise InvalidRange(field="grain")
        return Span(grain, first, last)


def _single(  # noqa: PLR0917 - as they lie in a bundle
    org_id: str,
    time: float,
    method: str,
    route: str,
    status: int,
    micros: int,
    caller: str | None,
    request: str | None,
) -> RawRequest:
    return RawRequest(
        time=datetime.fromtimestamp(time, UTC),
        org_id=org_id,
        method=_clean(method),
        route=_clean(route),
        status=status,
        milliseconds=milliseconds(micros),
        caller_id=_clean(caller or "anonymous"),
        request_id=request and _clean(request),
    )


def _fits(one: RawRequest, caller_id: str | None, route: str | None, status: int | None) -> bool:
    return caller_id in {None, one.caller_id} and route in {None, one.route} and status in {None, one.status}


def _place(cursor: str | None) -> tuple[str, int] | None:
    """Read where a page ended: the bundle, and the place in it."""
    if cursor is None:
        return None
    bundle_id, place = decode(cursor, 2)
    if not place.isdecimal():
        raise InvalidCursor(field="cursor")
    return bundle_id, int(place)


def _clean(text: str) -> str:
    """Give a text that can be encoded; a client may have sent anything."""
    return text.encode(errors="replace").decode()


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _step(grain: str) -> int:
    return HOUR if grain == "hour" else DAY
