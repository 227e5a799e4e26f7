"""Places to count in: what memory and a real Redis promise alike, and what becomes of it when Redis goes."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from importlib import import_module
from typing import Any

import pytest

from bartizan.backbone.events import Envelope, Events
from bartizan.backbone.limits import (
    Bucket,
    Limits,
    LimitsSettings,
    LimitsUnavailable,
    RedisNotInstalled,
    Scope,
    Shared,
    SharedLimitsGone,
    Verdict,
    shared,
)
from bartizan.backbone.limits.backends.redis import RedisLimits
from bartizan.backbone.limits.service.memory import Memory
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import Caller
from bartizan.foundation.database import Database
from bartizan.foundation.settings import InvalidSettings, Rate
from bartizan.foundation.telemetry import Metrics
from tests.harness.redis_server import Redis

Take = Callable[..., Awaitable[Verdict]]
PATIENT = LimitsSettings(redis_timeout=5)


def bucket(rate: str, target: str = "one", name: Scope = "user", org_id: str | None = "org_acme") -> Bucket:
    return Bucket(name, target, Rate.parse(rate), org_id=org_id)


@pytest.fixture
async def redis_limits(redis: Redis) -> AsyncGenerator[Shared]:
    made = shared(redis.address, PATIENT)
    assert made is not None
    yield made
    await made.close()


@pytest.fixture(params=["memory", "redis"])
def take(request: pytest.FixtureRequest) -> Take:
    if request.param == "redis":
        place: Shared = request.getfixturevalue("redis_limits")
        return lambda *buckets: place.take(buckets)
    memory = Memory(Clock(), most_callers=1_000, most_addresses=1_000)

    async def counted(*buckets: Bucket) -> Verdict:
        return memory.take(buckets)

    return counted


@pytest.mark.feature("RATE-01", "RATE-02")
async def test_a_burst_passes_and_then_a_wait_is_told(take: Take) -> None:
    limit = bucket("1/hour burst 5")
    verdicts = [await take(limit) for _ in range(7)]
    assert [verdict.allowed for verdict in verdicts] == [True] * 5 + [False] * 2
    assert [verdict.left[0] for verdict in verdicts] == [4, 3, 2, 1, 0, 0, 0]
    assert verdicts[-1].refused is limit
    assert 3_590 <= verdicts[-1].retry_after <= 3_600
    assert {int(value) for name, value in verdicts[-1].headers() if name == b"ratelimit-limit"} == {5}


@pytest.mark.feature("RATE-02")
async def test_what_was_waited_for_is_there(take: Take) -> None:
    limit = bucket("20/second burst 1")
    while (verdict := await take(limit)).allowed:
        pass
    await asyncio.sleep(verdict.wait / 1_000_000 + 0.001)
    assert (await take(limit)).allowed


@pytest.mark.feature("RATE-02", "X-18")
async def test_all_or_nothing(take: Take) -> None:
    large, small = bucket("1/hour burst 9", "a", "organization"), bucket("1/hour burst 2", "b")
    assert [(await take(large, small)).allowed for _ in range(5)] == [True, True, False, False, False]
    verdict = await take(large, small)
    assert (verdict.refused, list(verdict.left)) == (small, [7, 0])
    assert [(await take(large)).allowed for _ in range(8)] == [True] * 7 + [False]
    slow = bucket("1/day burst 1", "c")
    await take(slow)
    assert (await take(large, small, slow)).refused is slow


@pytest.mark.feature("TEN-08", "X-18")
async def test_limits_of_the_same_name_in_two_organizations_are_two(take: Take) -> None:
    ours, theirs = bucket("1/hour"), bucket("1/hour", org_id="org_globex")
    assert (await take(ours)).allowed
    assert (await take(theirs)).allowed
    assert not (await take(ours)).allowed


@pytest.mark.feature("RATE-01")
async def test_a_limit_that_was_lowered_waits_for_its_own_bucket_only(take: Take) -> None:
    for _ in range(100):
        await take(bucket("100/day"))
    lowered = await take(bucket("20/second"))
    assert not lowered.allowed
    assert lowered.wait <= 1_000_000


# Redis alone


@pytest.mark.feature("RATE-08", "X-18")
async def test_keys_carry_the_organization_and_expire_when_at_rest(
    redis: Redis, redis_limits: Shared
) -> None:
    first, second = bucket("10/second", "a", "organization"), bucket("1/minute burst 2", "b")
    await redis_limits.take((first, second))
    assert first.key.startswith("bz:limits:{org_acme}:organization:")
    assert second.key.startswith("bz:limits:{org_acme}:user:")
    assert 0 < redis.number("PTTL", second.key) <= 60_002
    assert redis.number("PTTL", first.key) <= 102
    async with asyncio.timeout(30):
        while redis.number("EXISTS", first.key):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.mark.feature("X-18")
async def test_a_server_clock_that_was_set_back_locks_nobody_for_ever(
    redis: Redis, redis_limits: Shared
) -> None:
    limit = bucket("60/minute burst 3")
    await redis_limits.take((limit,))
    in_a_year = 32_503_680_000_000_000
    redis.say("SET", limit.key, str(in_a_year))
    verdict = await redis_limits.take((limit,))
    assert not verdict.allowed
    assert verdict.wait <= limit.increment
    assert 0 < redis.number("PTTL", limit.key) <= 3_002
    later = await redis_limits.take((limit,))
    assert later.levels[0] < limit.full


@pytest.mark.feature("X-18")
async def test_scripts_that_were_flushed_are_loaded_again(redis: Redis, redis_limits: Shared) -> None:
    limit = bucket("1/hour burst 5")
    for _ in range(3):
        assert (await redis_limits.take((limit,))).allowed
        redis.say("SCRIPT", "FLUSH")
    assert (await redis_limits.take((limit,))).left[0] == 1


@pytest.mark.feature("X-18")
async def test_many_at_once_pass_no_more_than_the_burst(redis: Redis, redis_limits: Shared) -> None:
    limits = bucket("1/hour burst 50", "a", "organization"), bucket("1/hour burst 70", "b")
    verdicts = await asyncio.gather(*(redis_limits.take(limits) for _ in range(300)))
    assert sum(verdict.allowed for verdict in verdicts) == 50
    assert redis.number("EXISTS", limits[0].key, limits[1].key) == 2


@pytest.mark.feature("X-18")
async def test_a_question_that_was_cut_short_gives_its_answer_to_nobody_else(
    redis: Redis, redis_limits: Shared
) -> None:
    small, large = bucket("1/hour", "small"), bucket("1/minute burst 1000", "large")
    await redis_limits.take((small,))
    for turns in range(6):
        task = asyncio.create_task(redis_limits.take((small,)))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        verdict = await redis_limits.take((large,))
        assert verdict.allowed
        assert verdict.left[0] == 999 - turns


async def test_a_connection_that_redis_closed_is_replaced_unnoticed(
    redis: Redis, redis_limits: Shared
) -> None:
    limit = bucket("1/hour burst 5")
    await redis_limits.take((limit,))
    redis.say("CLIENT", "KILL", "TYPE", "normal")
    await asyncio.sleep(0)
    assert (await redis_limits.take((limit,))).left[0] == 3


async def test_an_answer_that_does_not_come_is_not_waited_for(redis: Redis) -> None:
    place = RedisLimits(redis.address, timeout=0.1)
    await place.ping()
    redis.say("CLIENT", "PAUSE", "60000", "ALL")
    try:
        with pytest.raises(SharedLimitsGone, match="TimeoutError"):
            await place.take((bucket("1/hour"),))
    finally:
        redis.kill()
    await place.close()


def test_where_redis_is_not_named_each_process_counts_by_itself(redis: Redis) -> None:
    assert shared(None, LimitsSettings()) is None
    assert shared(redis.address, LimitsSettings(enabled=False)) is None


@pytest.mark.parametrize("address", ["http://127.0.0.1", "127.0.0.1:6379", "redis://host:port"])
def test_an_address_that_is_none_is_named_with_its_cure(address: str) -> None:
    with pytest.raises(InvalidSettings, match="redis://host:6379/0"):
        shared(address, LimitsSettings())


def test_a_missing_library_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    backends = import_module("bartizan.backbone.limits.backends")
    monkeypatch.setattr(backends, "find_spec", lambda name: None)
    with pytest.raises(RedisNotInstalled, match=r'pip install "bartizan\[redis\]"'):
        shared("redis://127.0.0.1", LimitsSettings())


# Redis gone


MEMBER = Caller(id="usr_member", kind="user", user_id="usr_member", org_id="org_acme")


@pytest.fixture
def heard() -> list[Envelope]:
    return []


@pytest.fixture
async def build(
    database: Database, redis: Redis, heard: list[Envelope]
) -> AsyncGenerator[Callable[..., Limits]]:
    """Give what builds the room as a replica has it, with a real clock."""
    made: list[Limits] = []
    events = Events(database, clock=Clock())
    events.listen("limits.*", heard.append)

    def build(settings: dict[str, Any] | None = None, **more: Any) -> Limits:
        chosen = LimitsSettings.model_validate({"redis_timeout": 5} | (settings or {}))
        room = Limits(database, events, chosen, shared=shared(redis.address, chosen), **more)
        made.append(room)
        return room

    yield build
    for room in made:
        await room.stop()


@pytest.mark.feature("X-18", "RATE-01")
async def test_without_redis_each_process_goes_on_counting(
    build: Callable[..., Limits], redis: Redis, heard: list[Envelope]
) -> None:
    metrics = Metrics()
    limits = build({"user": "1/hour burst 5"}, metrics=metrics)
    assert limits.shared
    buckets = await limits.buckets_of(MEMBER, "bearer")
    assert [(await limits.take_shared(buckets)).allowed for _ in range(7)] == [True] * 5 + [False] * 2
    redis.kill()
    assert [(await limits.take_shared(buckets)).allowed for _ in range(50)] == [True] * 5 + [False] * 45
    assert limits.degraded
    await limits.look()
    await limits.look()
    assert [(event.type, event.tenant_id) for event in heard] == [("limits.degraded", None)]
    redis.start()
    assert limits.degraded
    await limits.look()
    assert not limits.degraded
    assert [event.type for event in heard] == ["limits.degraded", "limits.recovered"]
    assert (await limits.take_shared(buckets)).allowed
    assert redis.number("EXISTS", *(bucket.key for bucket in buckets)) == 2
    shown = metrics.exposition()[0]
    assert b"bartizan_limits_outages_total 1.0" in shown
    assert b'bartizan_limits_unshared_total{outcome="counted"} 50.0' in shown


@pytest.mark.feature("X-18")
async def test_a_limit_that_is_to_fail_closed_refuses_with_the_cure(
    build: Callable[..., Limits], redis: Redis, heard: list[Envelope]
) -> None:
    limits = build({"on_failure": {"address": "closed"}}, metrics=Metrics())
    address, member = limits.address_bucket("203.0.113.9"), await limits.buckets_of(MEMBER, "bearer")
    assert (await limits.take_shared(address)).allowed
    redis.kill()
    for _ in range(5):
        with pytest.raises(LimitsUnavailable, match="BARTIZAN_LIMITS__ON_FAILURE__ADDRESS=open"):
            await limits.take_shared(address)
        assert (await limits.take_shared(member)).allowed
    await limits.look()
    assert heard[0].data["closed"] == ["address"]
    redis.start()
    await limits.look()
    assert (await limits.take_shared(address)).allowed


@pytest.mark.feature("X-18")
async def test_while_redis_is_gone_it_is_not_asked(build: Callable[..., Limits], redis: Redis) -> None:
    limits = build({"user": "1000/second"})
    buckets = await limits.buckets_of(MEMBER, "bearer")
    redis.kill()
    for _ in range(3):
        await limits.take_shared(buckets)
    assert limits.degraded
    asked = 0

    async def never(_command: bytes) -> None:
        nonlocal asked
        asked += 1

    limits._sharing._shared._ask = never  # type: ignore[union-attr]
    for _ in range(100):
        await limits.take_shared(buckets)
    assert asked == 0


@pytest.mark.feature("X-18")
async def test_one_failure_is_no_outage(build: Callable[..., Limits], redis: Redis) -> None:
    limits = build()
    buckets = await limits.buckets_of(MEMBER, "bearer")
    for _ in range(5):
        redis.kill()
        for _ in range(2):
            assert (await limits.take_shared(buckets)).allowed
        redis.start()
        assert (await limits.take_shared(buckets)).allowed
        assert not limits.degraded


@pytest.mark.feature("X-18")
async def test_a_started_room_finds_redis_back_without_a_restart(
    build: Callable[..., Limits], redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bartizan.backbone.limits.service.limits._LOOK_SECONDS", 0.02)
    limits = build({"user": "1000/second", "organization": "1000/second"})
    await limits.start()
    buckets = await limits.buckets_of(MEMBER, "bearer")

    async def busy() -> None:
        while True:
            await limits.take_shared(buckets)
            await asyncio.sleep(0)

    async with asyncio.timeout(90):
        lanes = [asyncio.create_task(busy()) for _ in range(20)]
        for _ in range(3):
            redis.kill()
            while not limits.degraded:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            redis.start()
            while limits.degraded:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        for lane in lanes:
            assert not lane.done()
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)


@pytest.mark.feature("X-18")
async def test_what_could_not_be_announced_is_announced_later(
    build: Callable[..., Limits], redis: Redis, heard: list[Envelope], database: Database
) -> None:
    limits = build()
    buckets = await limits.buckets_of(MEMBER, "bearer")
    redis.kill()
    for _ in range(3):
        await limits.take_shared(buckets)
    announce = limits._events.announce

    async def refuse(*_: Any, **__: Any) -> None:
        raise OSError("the disk is gone")

    limits._events.announce = refuse  # type: ignore[assignment, method-assign]
    with pytest.raises(OSError, match="disk"):
        await limits.look()
    limits._events.announce = announce  # type: ignore[method-assign]
    assert heard == []
    redis.start()
    await limits.look()
    assert [event.type for event in heard] == ["limits.degraded", "limits.recovered"]
