"""Reading counts: one organization's, or for operators another's or everybody's."""

import json
from collections.abc import AsyncGenerator, Collection, Generator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Executable, Select, func, select

from bartizan.backbone.usage.tables import UsageCallerRow, UsageCountRow, UsageRequestsRow, UsageTotalRow
from bartizan.foundation.context import current
from bartizan.foundation.database import Database

_BUNDLES_AT_ONCE = 20


class Band(NamedTuple):
    """Requests of one band of latency that ended in one way."""

    status: int
    band: int
    requests: int
    micros: int


class CallerSum(NamedTuple):
    """The requests of one caller."""

    caller_id: str
    requests: int
    micros: int
    client_errors: int
    server_errors: int


class Bundle(NamedTuple):
    """Some single requests."""

    id: str
    org_id: str
    requests: Sequence[tuple[Any, ...]]


class Span(NamedTuple):
    """A stretch of whole hours or days, in seconds since 1970."""

    grain: str
    since: int
    until: int


class UsageStore:
    """The counts of one organization, or with none of all."""

    def __init__(self, database: Database, org_id: str | None) -> None:
        self._database = database
        self._org_id = org_id

    async def bands(self, span: Span) -> Sequence[Band]:
        """Add up everything of a span, by status and band."""
        row = UsageCountRow
        query = self._counts(span, row.status, row.band).group_by(row.status, row.band)
        return [Band(*map(int, found)) for found in await self._read(query)]

    async def endpoints(self, span: Span, limit: int) -> Sequence[tuple[str, str, Band]]:
        """Add up the busiest endpoints of a span, by method, route, class of status and band."""
        row = UsageCountRow
        top = (
            self._counts(span, row.method, row.route)
            .group_by(row.method, row.route)
            .order_by(func.sum(row.requests).desc(), row.route, row.method)
            .limit(limit)
            .subquery()
        )
        query = self._counts(span, row.method, row.route, row.status, row.band).join(
            top, (top.c.method == row.method) & (top.c.route == row.route)
        )
        query = query.group_by(row.method, row.route, row.status, row.band)
        return [
            (method, route, Band(*map(int, numbers))) for method, route, *numbers in await self._read(query)
        ]

    async def series(self, span: Span) -> Sequence[tuple[int, Band]]:
        """Add up a span hour by hour or day by day, by status and band."""
        row = UsageCountRow
        query = self._counts(span, row.start, row.status, row.band)
        query = query.group_by(row.start, row.status, row.band)
        return [(int(start), Band(*map(int, numbers))) for start, *numbers in await self._read(query)]

    async def callers(self, span: Span, limit: int) -> Sequence[CallerSum]:
        """Add up the busiest callers of a span, the busiest first."""
        row = UsageCallerRow
        sums = [func.sum(c) for c in (row.requests, row.micros, row.client_errors, row.server_errors)]
        query = select(row.caller_id, *sums).where(
            *self._mine(row), row.grain == span.grain, row.start >= span.since, row.start < span.until
        )
        query = query.group_by(row.caller_id).order_by(sums[0].desc(), row.caller_id).limit(limit)
        return [CallerSum(who, *map(int, numbers)) for who, *numbers in await self._read(query)]

    async def bundles(self, below: str | None) -> AsyncGenerator[Bundle]:
        """Give bundles of single requests, the latest first, from below an id or with it."""
        row, many = UsageRequestsRow, 1
        query = select(row.id, row.org_id, row.body).where(*self._mine(row)).order_by(row.id.desc())
        page = query if below is None else query.where(row.id <= below)
        while True:
            found = await self._read(page.limit(many))
            for bundle_id, org_id, body in found:
                yield Bundle(bundle_id, org_id, json.loads(body))
            if len(found) < many:
                return
            page, many = query.where(row.id < found[-1][0]), _BUNDLES_AT_ONCE

    async def totals(self, starts: Collection[int]) -> dict[tuple[str, int], int]:
        """Give what counts against quotas, by period and start."""
        row = UsageTotalRow
        query = select(row.period, row.start, row.requests).where(*self._mine(row), row.start.in_(starts))
        return {(period, start): requests for period, start, requests in await self._read(query)}

    def _counts(self, span: Span, *columns: Any) -> "Select[*tuple[Any, ...]]":
        row = UsageCountRow
        return select(*columns, func.sum(row.requests), func.sum(row.micros)).where(
            *self._mine(row), row.grain == span.grain, row.start >= span.since, row.start < span.until
        )

    def _mine(self, row: Any) -> Sequence[ColumnElement[bool]]:
        return () if self._org_id is None else (row.org_id == self._org_id,)

    async def _read(self, query: Executable) -> Sequence[Any]:
        with self._reach():
            async with self._database.reading() as session:
                return (await session.execute(query)).all()

    @contextmanager
    def _reach(self) -> Generator[None]:
        """Lift the tenant wall only where more is asked about than the caller's organization."""
        caller = current.anyone
        if caller is not None and self._org_id is not None and caller.org_id == self._org_id:
            yield
        else:
            with self._database.across_organizations():
                yield
