"""Every request is counted exactly once, whatever happens in between."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from bartizan.backbone.events import Events
from bartizan.backbone.usage import Usage, UsageSettings
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import current
from bartizan.foundation.database import Database
from bartizan.foundation.errors import Unavailable

from .conftest import ACME, ADA, BOB, GLOBEX, NOON

T = TypeVar("T")
Step = tuple[Any, ...]
Sums = dict[tuple[Any, ...], list[int]]

ENDPOINTS = (
    "select org_id, method, route, status, sum(requests), sum(micros) from bz_usage_counts "
    "where grain = '{}' group by org_id, method, route, status"
)
TIMES = "select org_id, start, sum(requests) from bz_usage_counts where grain = '{}' group by org_id, start"
CALLERS = (
    "select org_id, caller_id, sum(requests), sum(micros), sum(client_errors), sum(server_errors) "
    "from bz_usage_callers where grain = '{}' group by org_id, caller_id"
)
TOTALS = "select org_id, sum(requests) from bz_usage_totals where period = '{}' group by org_id"
SINGLES = "select org_id, sum(size) from bz_usage_requests group by org_id"

ADD = st.tuples(
    st.just("add"),
    st.sampled_from([ACME, GLOBEX]),
    st.sampled_from([ADA, BOB, None]),
    st.sampled_from(["GET", "POST"]),
    st.sampled_from(["/a", "/b", "/c"]),
    st.sampled_from([200, 404, 429, 500]),
    st.integers(0, 2_000_000),
)
STEP = st.one_of(
    ADD,
    ADD,
    st.tuples(st.just("flush"), st.integers(0, 1)),
    st.tuples(st.just("cancel"), st.integers(0, 12)),
    st.tuples(st.just("cut"), st.sampled_from(["before", "after"]), st.integers(1, 3)),
    st.tuples(st.just("pass"), st.sampled_from([1, 1800, 86_400])),
    st.tuples(st.just("other"), st.integers(0, 1)),
)


class BadLine(Database):
    """A real database at the end of a line that breaks: before a write, or after it was done."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.breaks = {"before": 0, "after": 0}

    async def write(self, unit: Callable[[Connection], T]) -> T:
        self._meet("before")
        result = await super().write(unit)
        self._meet("after")
        return result

    def _meet(self, when: str) -> None:
        if self.breaks[when]:
            self.breaks[when] -= 1
            raise Unavailable


class Site:
    """Two replicas, and a list of what was added to them."""

    def __init__(self, url: str) -> None:
        self.clock = ManualClock(NOON)
        self.database = BadLine(url)
        events = Events(self.database, clock=self.clock)
        some = UsageSettings(max_endpoints=6)
        self.replicas = [Usage(self.database, events, some, clock=self.clock) for _ in range(2)]
        self.usage = self.replicas[0]
        self.added: list[tuple[Any, ...]] = []

    async def follow(self, steps: Sequence[Step]) -> None:
        for kind, *values in steps:
            if kind == "add":
                self.add(tuple(values))
            elif kind == "flush":
                with suppress(Unavailable):
                    await self.replicas[values[0]].flush()
            elif kind == "cancel":
                await self.cancel(values[0])
            elif kind == "cut":
                self.database.breaks[values[0]] = values[1]
            elif kind == "pass":
                self.clock.advance(values[0])
            else:
                self.usage = self.replicas[values[0]]
        self.database.breaks = {"before": 0, "after": 0}
        for replica in self.replicas:
            await replica.flush()
            assert replica.pending == 0

    def add(self, request: tuple[Any, ...]) -> None:
        org_id, who, method, route, status, micros = request
        seconds = micros / 1_000_000
        self.usage.add(org_id, who, method, route, status, seconds)
        hour = int(self.clock.now().timestamp()) // 3600 * 3600
        self.added.append((org_id, who, method, route, status, int(seconds * 1_000_000), hour))

    async def cancel(self, turns: int) -> None:
        """Let a flush be cancelled while it is somewhere on its way."""
        task = asyncio.create_task(self.usage.flush())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError, Unavailable):
            await task

    def expected(self, key: Callable[..., tuple[Any, ...]], sums: Callable[..., Sequence[int]]) -> Sums:
        found: Sums = defaultdict(lambda: [0] * len(sums(*self.added[0])))
        for one in self.added:
            so_far = found[key(*one)]
            so_far[:] = [a + b for a, b in zip(so_far, sums(*one), strict=True)]
        return dict(found)

    async def read(self, sql: str, keys: int) -> Sums:
        with current.as_system():
            async with self.database.reading() as session:
                rows = (await session.execute(text(sql))).all()
        return {tuple(row[:keys]): [int(number) for number in row[keys:]] for row in rows}

    async def check(self) -> None:
        """Compare what the database holds with what was added."""
        sums = self.expected(lambda o, *_: (o,), lambda o, w, m, r, s, us, _: (1, us))
        people = self.expected(
            lambda o, w, *_: (o, w or "anonymous"),
            lambda o, w, m, r, s, us, _: (1, us, int(400 <= s < 500), int(s >= 500)),
        )
        exact = self.expected(lambda o, w, m, r, s, *_: (o, m, r, s), lambda o, w, m, r, s, us, _: (1, us))
        metered = self.expected(lambda o, *_: (o,), lambda o, w, m, r, s, *_: (int(s != 429),))
        for grain, step in (("hour", 3600), ("day", 86_400)):
            whole: Sums = defaultdict(lambda: [0, 0])
            for (org_id, *rest), (requests, micros) in (await self.read(ENDPOINTS.format(grain), 4)).items():
                whole[org_id,][0] += requests
                whole[org_id,][1] += micros
                if rest[1] != "other":
                    assert requests <= exact[org_id, *rest][0]
            assert whole == sums
            assert await self.read(CALLERS.format(grain), 2) == people
            by_time = self.expected(
                lambda o, w, m, r, s, us, hour, step=step: (o, hour // step * step), lambda *_: (1,)
            )
            assert await self.read(TIMES.format(grain), 2) == by_time
        for period in ("day", "month"):
            assert await self.read(TOTALS.format(period), 1) == metered
        assert await self.read(SINGLES, 1) == {key: [count] for key, (count, _) in sums.items()}

    async def wipe(self) -> None:
        """Take away what an earlier example left."""

        def clear(connection: Connection) -> None:
            for table in ("counts", "callers", "totals", "marks", "requests", "writers"):
                connection.exec_driver_sql(f"delete from bz_usage_{table}")

        with current.as_system():
            await self.database.write(clear)


@pytest.mark.feature("RATE-04")
@given(steps=st.lists(STEP, max_size=40))
@settings(max_examples=40)
async def test_what_was_added_comes_out_summed_exactly(database_url: str, steps: list[Step]) -> None:
    site = Site(database_url)
    await site.wipe()
    await site.follow(steps)
    await site.check()
    await site.database.close()


@pytest.mark.feature("RATE-04")
async def test_a_write_whose_answer_got_lost_is_not_repeated(database_url: str) -> None:
    site = Site(database_url)
    site.add((ACME, ADA, "GET", "/a", 200, 1_000))
    site.database.breaks["after"] = 2
    for _ in range(2):
        with pytest.raises(Unavailable):
            await site.replicas[0].flush()
        assert site.replicas[0].pending == 1
    await site.follow([])
    await site.check()
    await site.database.close()
