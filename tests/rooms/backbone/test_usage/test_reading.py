"""What is shown: ranges, series, single requests, CSV, over HTTP and to whom."""

import csv
import io
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import datetime, timedelta

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from bartizan.backbone.usage import InvalidRange, Usage
from bartizan.backbone.usage.routes import routes
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import NobodyAsks, OperatorsOnly, PermissionMissing, current
from bartizan.foundation.pages import InvalidCursor

from .conftest import ACME, ADA, ADMIN, BOB, GLOBEX, MEMBER, NEIGHBOUR, NOON, OPERATOR, Make


@pytest.fixture
async def client(usage: Usage) -> AsyncGenerator[AsyncClient]:
    app = FastAPI()
    app.include_router(routes(usage))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        yield client


def add(usage: Usage, times: int = 1, org_id: str = ACME, route: str = "/", who: str = ADA) -> None:
    for _ in range(times):
        usage.add(org_id, who, "GET", route, 200, 0.01, "req_1")


async def written(usage: Usage, clock: ManualClock, days: int) -> datetime:
    """Send one request each day; give when the first was."""
    began = clock.now()
    for _ in range(days):
        add(usage)
        await usage.flush()
        clock.advance(86_400)
    clock.advance(-60)
    return began


@pytest.mark.feature("RATE-04")
async def test_hours_are_kept_7_days_and_days_31(usage: Usage, clock: ManualClock) -> None:
    began = await written(usage, clock, 40)
    with current.acting_as(ADMIN):
        assert len(await usage.series(since=began, grain="hour")) == 7 * 24 + 1
        days = await usage.series(since=began, grain="day")
        assert [one.requests for one in days] == [1] * 31 + [0]
        assert (await usage.summary(since=began)).requests == 31
        hours = await usage.series(since=clock.now() - timedelta(days=7))
        assert sum(one.requests for one in hours) == 7
    assert await usage.prune() > 0
    assert await usage.prune() == 0
    with current.acting_as(ADMIN):
        assert (await usage.summary(since=began)).requests == 31
        assert sum(one.requests for one in await usage.series(since=began, grain="hour")) == 7
        assert [one.requests for one in await usage.callers(since=began)] == [31]


@pytest.mark.feature("RATE-04")
async def test_more_is_kept_where_the_operator_says_so(make: Make, clock: ManualClock) -> None:
    usage = make(hourly_days=40, daily_days=400)
    began = await written(usage, clock, 40)
    await usage.prune()
    with current.acting_as(ADMIN):
        assert sum(one.requests for one in await usage.series(since=began, grain="hour")) == 40
        assert (await usage.summary(since=began - timedelta(days=300))).requests == 40


async def test_a_range_is_rounded_to_what_is_counted(usage: Usage, clock: ManualClock) -> None:
    add(usage)
    await usage.flush()
    clock.advance(3600)
    with current.acting_as(ADMIN):
        found = await usage.summary(since=NOON + timedelta(minutes=5), until=NOON + timedelta(minutes=10))
        assert found.requests == 1
        assert (found.since, found.until) == (NOON.replace(second=0), NOON.replace(hour=13, second=0))
        exact = await usage.summary(since=NOON.replace(second=0), until=NOON.replace(hour=13, second=0))
        assert exact == found
        assert (await usage.summary(until=NOON.replace(second=0))).requests == 0
        assert len(await usage.series(grain="day")) == 31


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (NOON + timedelta(days=1), None),
        (NOON, NOON - timedelta(days=1)),
        (None, NOON - timedelta(days=4_000)),
        (datetime.max.replace(tzinfo=NOON.tzinfo), None),
    ],
)
async def test_a_range_without_figures_is_refused(
    usage: Usage, since: datetime | None, until: datetime | None
) -> None:
    with current.acting_as(ADMIN), pytest.raises(InvalidRange):
        await usage.summary(since=since, until=until)


async def test_a_range_from_the_beginning_of_time_is_cut(usage: Usage) -> None:
    with current.acting_as(ADMIN):
        assert (await usage.summary(since=datetime.min.replace(tzinfo=NOON.tzinfo))).requests == 0


@pytest.mark.feature("RATE-04")
async def test_the_latest_requests_are_listed_one_by_one(usage: Usage, clock: ManualClock) -> None:
    for number in range(7):
        usage.add(ACME, ADA, "GET", f"/{number}", 200 + number, 0.001 * number, f"req_{number}")
        clock.advance(1)
        if number % 3 == 2:
            await usage.flush()
    await usage.flush()
    with current.acting_as(ADMIN):
        page = await usage.requests(limit=200)
        newest = page.items[0]
        assert [one.route for one in page.items] == ["/6", "/5", "/4", "/3", "/2", "/1", "/0"]
        assert (newest.method, newest.status, newest.milliseconds) == ("GET", 206, 6)
        assert (newest.caller_id, newest.request_id) == (ADA, "req_6")
        assert newest.time == NOON + timedelta(seconds=6)
        seen: list[str] = []
        cursor = None
        for _ in range(4):
            part = await usage.requests(limit=2, cursor=cursor)
            seen += [one.route for one in part.items]
            usage.add(ACME, ADA, "GET", "/new", 200, 0.01)
            await usage.flush()
            cursor = part.next
        assert cursor is None
        assert seen == ["/6", "/5", "/4", "/3", "/2", "/1", "/0"]
        assert [one.route for one in (await usage.requests(status=203)).items] == ["/3"]
        assert [one.route for one in (await usage.requests(route="/1")).items] == ["/1"]
        assert (await usage.requests(caller_id=BOB)).items == []


async def test_a_cursor_of_ones_own_making_is_refused(usage: Usage) -> None:
    with current.acting_as(ADMIN):
        for cursor in ("nonsense", "WyJ1c2dfMSIsIngiXQ"):
            with pytest.raises(InvalidCursor):
                await usage.requests(cursor=cursor)


@pytest.mark.feature("RATE-04", "RATE-08")
async def test_only_the_last_so_many_requests_of_each_organization_are_kept(make: Make) -> None:
    usage = make(raw_requests=50)
    add(usage, 1, GLOBEX, "/quiet", BOB)
    for number in range(40):
        add(usage, 10, route=f"/{number}")
        await usage.flush()
    with current.acting_as(ADMIN):
        found = (await usage.requests(limit=200)).items
        assert len(found) == 50
        assert [one.route for one in found[::10]] == ["/39", "/38", "/37", "/36", "/35"]
        assert (await usage.summary()).requests == 400
        everything = make(raw_requests=1_000)
        assert len((await everything.requests(limit=200)).items) <= 100, "what lies there is trimmed"
    await usage.prune()
    with current.acting_as(ADMIN):
        assert len((await make(raw_requests=1_000).requests(limit=200)).items) == 50
    with current.acting_as(NEIGHBOUR):
        assert [one.route for one in (await usage.requests()).items] == ["/quiet"]


async def test_nothing_is_kept_one_by_one_where_the_operator_says_so(make: Make) -> None:
    usage = make(raw_requests=0)
    add(usage, 10)
    await usage.flush()
    await usage.prune()
    with current.acting_as(ADMIN):
        assert (await usage.requests()).items == []
        assert (await usage.summary()).requests == 10


@pytest.mark.feature("RATE-08")
async def test_a_loud_organization_takes_no_single_request_from_a_quiet_one(make: Make) -> None:
    usage = make(raw_requests=1_000_000)
    add(usage, 5, GLOBEX, "/quiet", BOB)
    add(usage, 45_000)
    await usage.flush()
    with current.acting_as(NEIGHBOUR):
        assert len((await usage.requests()).items) == 5
        assert (await usage.summary()).requests == 5
    with current.acting_as(ADMIN):
        assert (await usage.summary()).requests == 45_000


@pytest.mark.feature("TEN-11", "TEN-08")
async def test_another_organization_sees_nothing(usage: Usage) -> None:
    add(usage, 3)
    await usage.flush()
    with current.acting_as(NEIGHBOUR):
        assert (await usage.summary()).requests == 0
        assert await usage.endpoints() == []
        assert await usage.statuses() == []
        assert await usage.callers() == []
        assert sum(one.requests for one in await usage.series()) == 0
        assert (await usage.requests()).items == []
        assert len([text async for text in await usage.requests_csv()]) == 1
        for org in (ACME, "all", "platform"):
            with pytest.raises(OperatorsOnly):
                await usage.summary(org=org)
        assert (await usage.summary(org=GLOBEX)).requests == 0


@pytest.mark.feature("TEN-11")
async def test_the_page_of_one_organization_does_not_open_with_the_cursor_of_another(usage: Usage) -> None:
    add(usage, 3)
    add(usage, 3, GLOBEX, "/theirs", BOB)
    await usage.flush()
    with current.acting_as(NEIGHBOUR):
        cursor = (await usage.requests(limit=1)).next
    with current.acting_as(ADMIN):
        assert {one.route for one in (await usage.requests(cursor=cursor)).items} <= {"/"}


async def test_one_needs_the_permission_and_operators_see_all(usage: Usage) -> None:
    add(usage, 3)
    add(usage, 2, GLOBEX)
    await usage.flush()
    with pytest.raises(NobodyAsks):
        await usage.summary()
    with current.acting_as(MEMBER):
        everything: list[Callable[[], Awaitable[object]]] = [
            *(usage.summary, usage.endpoints, usage.statuses, usage.callers, usage.series),
            *(usage.requests, usage.series_csv, usage.requests_csv),
        ]
        for refused in everything:
            with pytest.raises(PermissionMissing):
                await refused()
    with current.acting_as(OPERATOR):
        assert (await usage.summary()).requests == 5
        assert (await usage.summary(org=GLOBEX)).requests == 2
        assert {one.org_id for one in (await usage.requests()).items} == {ACME, GLOBEX}
    with current.as_system(ACME):
        assert (await usage.summary()).requests == 3


@pytest.mark.feature("RATE-04")
async def test_figures_come_over_http(client: AsyncClient, usage: Usage) -> None:
    add(usage, 3)
    await usage.flush()
    with current.acting_as(ADMIN):
        assert (await client.get("/usage")).json()["requests"] == 3
        assert (await client.get("/usage/endpoints", params={"limit": 5})).json()[0]["route"] == "/"
        assert (await client.get("/usage/statuses")).json()[0]["status"] == 200
        assert (await client.get("/usage/callers")).json()[0]["caller_id"] == ADA
        assert len((await client.get("/usage/series", params={"grain": "day"})).json()) == 31
        assert len((await client.get("/usage/requests", params={"limit": 2})).json()["items"]) == 2
        assert (await client.get("/usage/quotas")).json() == []
        assert (await client.get("/usage", params={"since": "yesterday"})).status_code == 422


@pytest.mark.feature("RATE-04")
async def test_series_and_requests_are_exported_as_csv(client: AsyncClient, usage: Usage) -> None:
    add(usage, 450)
    await usage.flush()
    with current.acting_as(ADMIN):
        series = await client.get("/usage/series.csv")
        requests = await client.get("/usage/requests.csv")
    assert series.headers["content-type"] == "text/csv; charset=utf-8"
    assert series.headers["content-disposition"] == 'attachment; filename="usage-series.csv"'
    points = list(csv.DictReader(io.StringIO(series.text)))
    assert len(points) == 25
    assert (points[-1]["start"], points[-1]["requests"]) == ("2026-03-14T12:00:00+00:00", "450")
    assert (points[0]["average_ms"], points[-1]["average_ms"]) == ("", "10.0")
    singles = list(csv.DictReader(io.StringIO(requests.text)))
    assert len(singles) == 450
    assert singles[0] == {
        "time": "2026-03-14T12:00:10+00:00",
        "org_id": ACME,
        "method": "GET",
        "route": "/",
        "status": "200",
        "milliseconds": "10.0",
        "caller_id": ADA,
        "request_id": "req_1",
    }


@pytest.mark.feature("RATE-04")
@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
async def test_no_cell_of_an_export_is_a_formula(usage: Usage, cell: str) -> None:
    usage.add(ACME, cell, cell, cell, 200, 0.01, cell)
    await usage.flush()
    with current.acting_as(ADMIN):
        text = "".join([part async for part in await usage.requests_csv()])
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    for column in ("method", "route", "caller_id", "request_id"):
        assert row[column] == f"'{cell}"


async def test_an_export_can_be_narrowed(usage: Usage) -> None:
    add(usage, 3, route="/a")
    add(usage, 2, route="/b", who=BOB)
    await usage.flush()
    with current.acting_as(ADMIN):
        text = "".join(
            [part async for part in await usage.requests_csv(route="/b", caller_id=BOB, status=200)]
        )
    assert len(text.splitlines()) == 3
