"""What limits refused is on record, bounded, and told when it is much."""

import asyncio
from typing import Any

import pytest

from bartizan.backbone.events import Envelope
from bartizan.backbone.limits import Limits, Violation
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller, current
from bartizan.foundation.database import Database
from bartizan.foundation.telemetry import Metrics

from .callers import ACME, ADMIN, GLOBEX, MEMBER, NEIGHBOUR, OPERATOR, person
from .conftest import Build

FEW = {"user": "2/minute", "organization": "1000/minute", "alert_after": 5}


async def ask(limits: Limits, caller: Caller, times: int) -> None:
    buckets = await limits.buckets_of(caller, "bearer")
    for _ in range(times):
        limits.take(buckets)


async def seen(limits: Limits, caller: Caller = ADMIN, **query: Any) -> list[Violation]:
    with current.acting_as(caller):
        return list((await limits.violations(**query)).items)


@pytest.mark.feature("RATE-03")
async def test_refusals_are_added_up_by_limit_and_minute(build: Build, clock: ManualClock) -> None:
    limits, there = build(FEW), build(FEW)
    await ask(limits, MEMBER, 5)
    await ask(there, MEMBER, 4)
    await there.flush()
    await ask(limits, ADMIN, 3)
    minute = clock.now().replace(second=0, microsecond=0)
    clock.advance(3600)
    await ask(limits, MEMBER, 3)
    found = await seen(limits)
    assert [(one.scope, one.target, one.rate, one.count, one.minute == minute) for one in found] == [
        ("user", MEMBER.id, "2/minute", 1, False),
        ("user", ADMIN.id, "2/minute", 1, True),
        ("user", MEMBER.id, "2/minute", 5, True),
    ] or {(one.target, one.count, one.minute == minute) for one in found} == {
        (MEMBER.id, 1, False),
        (ADMIN.id, 1, True),
        (MEMBER.id, 5, True),
    }
    assert len(await seen(limits, target=ADMIN.id)) == 1
    assert len(await seen(limits, scope="organization")) == 0
    assert len(await seen(limits, since=clock.now().replace(second=0, microsecond=0))) == 1


@pytest.mark.feature("RATE-03")
async def test_the_list_comes_in_pages(build: Build) -> None:
    limits = build(FEW)
    for _ in range(5):
        await ask(limits, person(), 3)
    with current.acting_as(ADMIN):
        first = await limits.violations(limit=3)
        second = await limits.violations(limit=3, cursor=first.next)
    assert (len(first.items), len(second.items), second.next) == (3, 2, None)
    assert len({one.id for one in (*first.items, *second.items)}) == 5


@pytest.mark.feature("RATE-03", "TEN-08")
async def test_each_organization_sees_its_own_and_operators_see_strangers(build: Build) -> None:
    limits = build(FEW | {"address": "1/minute"})
    await ask(limits, MEMBER, 3)
    await ask(limits, NEIGHBOUR, 3)
    for _ in range(3):
        limits.take(limits.address_bucket("203.0.113.9"))
    assert {one.target for one in await seen(limits)} == {MEMBER.id}
    assert {one.target for one in await seen(limits, NEIGHBOUR)} == {NEIGHBOUR.id}
    assert {one.target for one in await seen(limits, OPERATOR, org_id=GLOBEX)} == {NEIGHBOUR.id}
    assert [(one.scope, one.target, one.count) for one in await seen(limits, OPERATOR)] == [
        ("address", "203.0.113.9", 2)
    ]


@pytest.mark.feature("RATE-03")
async def test_much_is_announced_once_a_minute_whoever_counts(
    build: Build, clock: ManualClock, told: list[Envelope]
) -> None:
    limits, there = build(FEW), build(FEW)
    await ask(limits, MEMBER, 5)
    await limits.flush()
    assert told == []
    await ask(there, MEMBER, 5)
    await there.flush()
    assert [(e.type, e.tenant_id, e.data["scope"], e.data["refused"]) for e in told] == [
        ("limits.exceeded", ACME, "user", 6)
    ]
    for room in (limits, there, limits, there):
        await ask(room, MEMBER, 100)
        await room.flush()
    assert len(told) == 1
    clock.advance(61)
    await ask(limits, MEMBER, 100)
    await limits.flush()
    await ask(limits, NEIGHBOUR, 100)
    await limits.flush()
    assert [e.tenant_id for e in told] == [ACME, ACME, GLOBEX]


@pytest.mark.feature("RATE-03")
async def test_strangers_are_announced_to_the_platform(build: Build, told: list[Envelope]) -> None:
    limits = build({"address": "1/minute", "alert_after": 5})
    for _ in range(20):
        limits.take(limits.address_bucket("203.0.113.9"))
    await limits.flush()
    assert [(e.tenant_id, e.data["scope"], e.data["refused"]) for e in told] == [(None, "address", 19)]


@pytest.mark.feature("RATE-03")
async def test_only_the_newest_are_kept(build: Build, clock: ManualClock) -> None:
    limits = build(FEW | {"keep_violations": 3})
    for _ in range(5):
        clock.advance(3600)
        await ask(limits, MEMBER, 3)
        await ask(limits, NEIGHBOUR, 3)
        await limits.flush()
    for who in (ADMIN, NEIGHBOUR):
        found = await seen(limits, who)
        assert len(found) == 3
        assert max(one.minute for one in found) == clock.now().replace(second=0, microsecond=0)


@pytest.mark.feature("RATE-03", "RATE-08")
async def test_what_waits_in_memory_is_bounded(build: Build) -> None:
    limits = build(FEW | {"address": "1/hour"})
    for number in range(3_000):
        bucket = limits.address_bucket(f"10.0.{number >> 8}.{number & 255}")
        limits.take(bucket)
        limits.take(bucket)
    await ask(limits, MEMBER, 3)
    found = await seen(limits, OPERATOR, limit=200)
    assert len(found) == 101
    assert sum(one.count for one in found) == 3_000
    assert max(found, key=lambda one: one.count).target == ""
    assert [one.target for one in await seen(limits)] == [MEMBER.id]


@pytest.mark.feature("RATE-03", "RATE-08")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_cannot_be_written_waits_and_is_bounded_too(build: Build, database: Database) -> None:
    limits = build(FEW | {"organization": "100000/minute", "alert_after": 1_000_000})
    await ask(limits, MEMBER, 5)

    async def broken() -> None:
        async with database.transaction():
            await limits.flush()
            raise RuntimeError("undo")

    with pytest.raises(RuntimeError, match="undo"):
        await broken()
    await limits.flush()  # nothing waits: the transaction that it joined was somebody else's to lose
    await ask(limits, MEMBER, 3)
    write = limits._violations._store.record

    async def refuse(hits: Any) -> Any:
        raise OSError("the disk is gone")

    limits._violations._store.record = refuse  # type: ignore[method-assign]
    for _ in range(7):
        for _ in range(1_100):
            await ask(limits, person(org_id=None), 3)
        with pytest.raises(OSError, match="disk"):
            await limits.flush()
    assert len(limits._violations._hits) <= 6_000
    limits._violations._store.record = write  # type: ignore[method-assign]
    await limits.flush()
    assert [(one.target, one.count) for one in await seen(limits)] == [(MEMBER.id, 3)]


@pytest.mark.feature("RATE-03")
async def test_a_started_room_writes_down_what_waits_before_it_stops(build: Build) -> None:
    limits = build(FEW)
    await limits.start()
    await limits.start()
    await ask(limits, MEMBER, 5)
    await limits.stop()
    await limits.stop()
    assert [one.count for one in await seen(build(FEW))] == [3]


@pytest.mark.feature("RATE-03")
async def test_a_started_room_writes_by_itself(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bartizan.backbone.limits.service.limits._LOOK_SECONDS", 0.01)
    limits = build(FEW)
    await limits.start()
    await ask(limits, MEMBER, 5)
    async with asyncio.timeout(60):
        while not await seen(build()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await limits.stop()
    assert [one.count for one in await seen(limits)] == [3]


@pytest.mark.feature("RATE-03")
async def test_refusals_are_metrics_too(build: Build) -> None:
    metrics = Metrics()
    limits = build(FEW, metrics=metrics)
    await ask(limits, MEMBER, 5)
    assert b'bartizan_limits_refused_total{scope="user"} 3.0' in metrics.exposition()[0]
