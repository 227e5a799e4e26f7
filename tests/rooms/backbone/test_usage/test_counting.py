"""What is counted, how it comes out, and what happens at each bound."""

from datetime import UTC, datetime, timedelta

import pytest

from bartizan.backbone.usage import Usage
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import current

from .conftest import ACME, ADA, ADMIN, BOB, GLOBEX, NEIGHBOUR, NOON, OPERATOR, Make

NOTES = "/notes/{note_id}"


@pytest.mark.feature("RATE-04")
async def test_what_was_added_is_summed_up_by_organization(usage: Usage) -> None:
    for status, seconds in ((200, 0.010), (200, 0.030), (404, 0.002), (500, 0.5)):
        usage.add(ACME, ADA, "GET", NOTES, status, seconds)
    usage.add(GLOBEX, BOB, "POST", "/notes", 201, 0.004)
    assert usage.pending == 5
    await usage.flush()
    assert usage.pending == 0
    with current.acting_as(ADMIN):
        found = await usage.summary()
    assert (found.requests, found.client_errors, found.server_errors) == (4, 1, 1)
    assert found.average_ms == pytest.approx(135.5)
    with current.acting_as(NEIGHBOUR):
        assert (await usage.summary()).requests == 1


@pytest.mark.feature("RATE-04")
async def test_endpoints_statuses_and_callers_are_told_apart(usage: Usage) -> None:
    for who, method, route, status, times in (
        (ADA, "GET", NOTES, 200, 5),
        (ADA, "GET", NOTES, 404, 1),
        (BOB, "POST", "/notes", 201, 3),
        (BOB, "POST", "/notes", 503, 1),
        (None, "GET", "/", 200, 2),
    ):
        for _ in range(times):
            usage.add(ACME, who, method, route, status, 0.008)
    await usage.flush()
    with current.acting_as(ADMIN):
        endpoints = await usage.endpoints()
        assert [(one.method, one.route, one.requests) for one in endpoints] == [
            ("GET", NOTES, 6),
            ("POST", "/notes", 4),
            ("GET", "/", 2),
        ]
        assert [(one.client_errors, one.server_errors) for one in endpoints] == [(1, 0), (0, 1), (0, 0)]
        assert endpoints[0].average_ms == 8
        assert endpoints[0].p95_ms == pytest.approx(8, rel=0.05)
        assert [one.route for one in await usage.endpoints(limit=1)] == [NOTES]
        statuses = [(one.status, one.requests) for one in await usage.statuses()]
        assert statuses == [(200, 7), (201, 3), (404, 1), (503, 1)]
        callers = await usage.callers()
        assert [(one.caller_id, one.requests) for one in callers] == [(ADA, 6), (BOB, 4), ("anonymous", 2)]
        assert [(one.client_errors, one.server_errors) for one in callers] == [(1, 0), (0, 1), (0, 0)]
        assert [one.caller_id for one in await usage.callers(limit=1)] == [ADA]


@pytest.mark.feature("RATE-04")
async def test_percentiles_are_near_the_truth(usage: Usage) -> None:
    for milli in range(1, 1001):
        usage.add(ACME, ADA, "GET", NOTES, 200, milli / 1000)
    await usage.flush()
    with current.acting_as(ADMIN):
        found = await usage.summary()
    assert found.average_ms == pytest.approx(500.5)
    assert found.p50_ms == pytest.approx(500, rel=0.05)
    assert found.p95_ms == pytest.approx(950, rel=0.05)
    assert found.p99_ms == pytest.approx(990, rel=0.05)


async def test_requests_that_took_no_time_at_all_have_percentiles_too(usage: Usage) -> None:
    usage.add(ACME, ADA, "GET", NOTES, 200, 0.0)
    await usage.flush()
    with current.acting_as(ADMIN):
        found = await usage.summary()
    assert (found.average_ms, found.p50_ms, found.p99_ms) == (0, 0, 0)


@pytest.mark.feature("RATE-04")
async def test_several_replicas_add_up(make: Make) -> None:
    here, there = make(), make()
    for replica in (here, there, here):
        for _ in range(3):
            replica.add(ACME, ADA, "GET", NOTES, 200, 0.01)
        await replica.flush()
    with current.acting_as(ADMIN):
        assert (await there.summary()).requests == 9
        assert [one.requests for one in await here.callers()] == [9]


async def test_a_flush_of_nothing_is_nothing(usage: Usage) -> None:
    await usage.flush()
    with current.acting_as(ADMIN):
        found = await usage.summary()
    assert (found.requests, found.average_ms, found.p95_ms) == (0, None, None)


@pytest.mark.feature("RATE-04")
async def test_a_request_counts_in_the_hour_it_came_in_though_it_is_written_later(
    usage: Usage, clock: ManualClock
) -> None:
    usage.add(ACME, ADA, "GET", NOTES, 200, 0.01)
    clock.advance(3590)
    usage.add(ACME, ADA, "GET", NOTES, 200, 0.01)
    clock.advance(2)
    usage.add(ACME, ADA, "GET", NOTES, 200, 0.01)
    clock.advance(86_400)
    usage.add(ACME, ADA, "GET", NOTES, 200, 0.01)
    await usage.flush()
    with current.acting_as(ADMIN):
        hours = await usage.series(since=NOON, grain="hour")
        days = await usage.series(since=NOON, grain="day")
    counts = {one.start: one.requests for one in hours if one.requests}
    noon = NOON.replace(second=0)
    assert counts == {noon: 1, noon + timedelta(hours=1): 2, noon + timedelta(hours=25): 1}
    assert len(hours) == 26
    assert [one.requests for one in days] == [3, 1]


async def test_a_clock_set_back_loses_nothing(usage: Usage, clock: ManualClock) -> None:
    usage.add(ACME, ADA, "GET", NOTES, 200, 0.01)
    clock.jump(-7200)
    usage.add(ACME, ADA, "GET", NOTES, 200, 0.01)
    await usage.flush()
    usage.add(ACME, ADA, "GET", NOTES, 200, 0.01)
    await usage.flush()
    clock.jump(7200)
    with current.acting_as(ADMIN):
        assert (await usage.summary()).requests == 3


@pytest.mark.feature("RATE-04", "RATE-08")
async def test_one_organization_cannot_push_out_another(make: Make) -> None:
    usage = make(max_endpoints=20, max_callers=10)
    for number in range(200):
        usage.add(GLOBEX, f"usr_{number}", "GET", f"/made/up/{number}", 200 + number % 5, 0.001 * number)
    usage.add(ACME, ADA, "GET", NOTES, 200, 0.01)
    await usage.flush()
    with current.acting_as(NEIGHBOUR):
        endpoints = await usage.endpoints(limit=200)
        assert len(endpoints) == 21
        assert (endpoints[0].route, endpoints[0].requests) == ("other", 180)
        assert sum(one.requests for one in endpoints) == 200
        callers = await usage.callers(limit=200)
        assert len(callers) == 11
        assert (callers[0].caller_id, callers[0].requests) == ("other", 190)
    with current.acting_as(ADMIN):
        assert [one.route for one in await usage.endpoints()] == [NOTES]


async def test_what_is_shown_apart_is_chosen_anew_each_day(make: Make, clock: ManualClock) -> None:
    usage = make(max_endpoints=1, max_callers=1)
    usage.add(ACME, ADA, "GET", "/a", 200, 0.01)
    usage.add(ACME, BOB, "GET", "/b", 200, 0.01)
    await usage.flush()
    clock.advance(86_400)
    usage.add(ACME, BOB, "GET", "/b", 200, 0.01)
    await usage.flush()
    usage.add(ACME, ADA, "GET", "/a", 429, 0.01)
    await usage.flush()
    with current.acting_as(ADMIN):
        today = clock.now() - timedelta(hours=1)
        assert {(one.route, one.requests) for one in await usage.endpoints(since=today)} == {
            ("/b", 1),
            ("other", 1),
        }
        assert {one.caller_id for one in await usage.callers(since=today)} == {BOB, "other"}
        assert [one.status for one in await usage.statuses(since=today)] == [200, 429]


@pytest.mark.parametrize(
    ("method", "route", "status"),
    [
        ("GET", "/" + "x" * 300, 200),
        ("GET", "/a\0b", 200),
        ("GET", "/a\ud800", 200),
        ("GET", "/a", 99),
        ("GET", "/a", 1_000_000),
        ("X" * 50, "/a", 200),
    ],
)
async def test_what_no_database_takes_is_counted_as_other(
    usage: Usage, method: str, route: str, status: int
) -> None:
    usage.add(ACME, "c\0" * 80, method, route, status, 0.01, "r\ud800" * 50)
    await usage.flush()
    with current.acting_as(ADMIN):
        assert [(one.route, one.requests) for one in await usage.endpoints()] == [("other", 1)]
        assert [one.caller_id for one in await usage.callers()] == ["other"]
        assert 100 <= (await usage.statuses())[0].status <= 500
        (single,) = (await usage.requests()).items
        assert len(single.route) <= 200
        assert single.model_dump_json()


@pytest.mark.feature("RATE-08")
async def test_a_flood_of_forms_within_one_writing_is_bounded_and_loses_nothing(make: Make) -> None:
    usage = make(max_endpoints=100_000)
    for number in range(6_000):
        usage.add(ACME, ADA, "GET", f"/{number}", 200, 0.01)
    for number in range(100):
        usage.add(GLOBEX, BOB, "GET", f"/{number}", 200, 0.01)
    await usage.flush()
    with current.acting_as(ADMIN):
        assert (await usage.summary()).requests == 6_000
        busiest = (await usage.endpoints(limit=1))[0]
        assert (busiest.route, busiest.requests) == ("other", 1_000)
    with current.acting_as(NEIGHBOUR):
        assert len(await usage.endpoints(limit=200)) == 100


async def test_requests_of_nobody_belong_to_the_platform(usage: Usage) -> None:
    usage.add(None, None, "GET", "/", 200, 0.01)
    usage.add("platform", "anonymous", "GET", "/", 200, 0.01)
    await usage.flush()
    with current.acting_as(OPERATOR):
        assert (await usage.summary(org="platform")).requests == 2
        assert [one.caller_id for one in await usage.callers(org="platform")] == ["anonymous"]
        assert (await usage.summary()).requests == 2


@pytest.mark.feature("RATE-08")
async def test_more_organizations_than_are_remembered_are_counted_all_the_same(
    make: Make, clock: ManualClock
) -> None:
    usage = make(max_organizations=20)
    for number in range(30):
        usage.add(f"org_{number}", None, "GET", "/", 200, 0.01)
    await usage.flush()
    clock.advance(60)
    usage.add(ACME, ADA, "GET", "/", 200, 0.01)
    await usage.flush()
    with current.acting_as(OPERATOR):
        assert (await usage.summary(org="all")).requests == 31
        assert [(one.route, one.requests) for one in await usage.endpoints(org="platform")] == [("other", 10)]
    with current.acting_as(ADMIN):
        assert (await usage.summary()).requests == 1


async def test_months_begin_on_their_first_day(usage: Usage, clock: ManualClock) -> None:
    clock.jump((datetime(2027, 1, 1, tzinfo=UTC) - NOON).total_seconds())
    usage.add(ACME, ADA, "GET", NOTES, 200, 0.01)
    await usage.flush()
    with current.acting_as(ADMIN):
        assert [one.start for one in await usage.series(grain="day")][-1] == datetime(2027, 1, 1, tzinfo=UTC)
