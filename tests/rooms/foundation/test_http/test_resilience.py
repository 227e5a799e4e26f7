"""Retries, circuit breakers and deadlines, used alone."""

import asyncio

import pytest

from bartizan.foundation.clock import ManualClock
from bartizan.foundation.errors import Unavailable
from bartizan.foundation.http import (
    AnswerTooLarge,
    Breaker,
    Breakers,
    CircuitOpen,
    DestinationRefused,
    Retry,
    TookTooLong,
    Unreachable,
    deadline,
)
from tests.harness.peer import Waits


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.mark.feature("OPS-07")
async def test_only_failures_that_may_pass_are_tried_again(waits: Waits) -> None:
    calls = 0

    async def fail(error: Exception) -> None:
        nonlocal calls
        calls += 1
        raise error

    for error, times in (
        (Unreachable(), 4),
        (TookTooLong(), 4),
        (CircuitOpen(), 1),
        (AnswerTooLarge(), 1),
        (DestinationRefused(), 1),
        (KeyError(), 1),
    ):
        calls = 0
        with pytest.raises(type(error)):
            await waits.retry(attempts=4).call(lambda error=error: fail(error))  # type: ignore[misc]
        assert calls == times


@pytest.mark.feature("OPS-07")
async def test_a_server_that_asks_for_a_long_wait_is_kept_to_the_longest(waits: Waits) -> None:
    async def fail() -> None:
        raise Unavailable(retry_after=9999)

    with pytest.raises(Unavailable):
        await waits.retry(attempts=2, longest=7).call(fail)
    assert waits.seconds == [7]


@pytest.mark.feature("OPS-07")
async def test_waits_are_spread() -> None:
    seconds: list[float] = []

    async def note(wait: float) -> None:
        seconds.append(wait)

    async def fail() -> None:
        raise Unavailable

    for _ in range(50):
        with pytest.raises(Unavailable):
            await Retry(attempts=2, first=1, sleep=note).call(fail)
    assert len(set(seconds)) > 40
    assert all(0 <= wait <= 1 for wait in seconds)


def state(breaker: Breaker) -> str:
    return breaker.state


async def use(breaker: Breaker, error: Exception | None = None) -> None:
    async with breaker.using():
        if error:
            raise error


async def failing(breaker: Breaker, times: int = 1, error: Exception | None = None) -> None:
    for _ in range(times):
        with pytest.raises(type(error or Unavailable())):
            await use(breaker, error or Unavailable())


@pytest.mark.feature("OPS-07")
async def test_a_breaker_opens_after_failures_in_a_row_and_closes_after_one_good_probe(
    clock: ManualClock,
) -> None:
    breaker = Breaker(clock=clock, failures=3, seconds=10)
    await failing(breaker, 2)
    await use(breaker)
    await failing(breaker, 2)
    assert state(breaker) == "closed"
    await failing(breaker)
    assert state(breaker) == "open"
    with pytest.raises(CircuitOpen) as caught:
        await use(breaker)
    assert caught.value.facts == {"retry_after": 10}
    clock.advance(10)
    assert state(breaker) == "half-open"
    await failing(breaker)
    assert state(breaker) == "open"
    clock.advance(10)
    await use(breaker)
    assert state(breaker) == "closed"


@pytest.mark.feature("OPS-07")
async def test_a_half_open_breaker_lets_one_use_through(clock: ManualClock) -> None:
    breaker = Breaker(clock=clock, failures=1, seconds=10)
    await failing(breaker)
    clock.advance(10)
    async with breaker.using():
        with pytest.raises(CircuitOpen):
            await use(breaker)
    await use(breaker)


@pytest.mark.feature("OPS-07")
async def test_a_cancelled_probe_leaves_room_for_the_next(clock: ManualClock) -> None:
    breaker = Breaker(clock=clock, failures=1, seconds=10)
    await failing(breaker)
    clock.advance(10)

    async def hang() -> None:
        async with breaker.using():
            await asyncio.sleep(60)

    task = asyncio.create_task(hang())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert state(breaker) == "half-open"
    await use(breaker)
    assert state(breaker) == "closed"


@pytest.mark.feature("OPS-07")
async def test_our_own_mistakes_do_not_open_a_breaker_and_late_failures_do_not_hold_it(
    clock: ManualClock,
) -> None:
    breaker = Breaker(clock=clock, failures=1, seconds=10)
    await failing(breaker, 5, KeyError())
    assert state(breaker) == "closed"
    late = breaker.using()
    await late.__aenter__()
    await failing(breaker)
    clock.advance(9)
    error = Unavailable()
    assert not await late.__aexit__(Unavailable, error, None)
    clock.advance(1)
    assert state(breaker) == "half-open"


def test_breakers_are_kept_for_so_many_names_only(clock: ManualClock) -> None:
    breakers = Breakers(clock=clock, most=2)
    a, b = breakers.of("a"), breakers.of("b")
    assert breakers.of("a") is a
    breakers.of("c")
    assert breakers.of("a") is a
    assert breakers.of("b") is not b


@pytest.mark.feature("OPS-07")
async def test_a_deadline_ends_what_takes_too_long() -> None:
    with pytest.raises(TookTooLong, match=r"the scan took longer than 0\.01 s"):
        async with deadline(0.01, "the scan"):
            await asyncio.sleep(5)
    async with deadline(5):
        pass


async def test_a_time_out_inside_a_deadline_stays_what_it_is() -> None:
    with pytest.raises(TimeoutError):
        async with deadline(5):
            raise TimeoutError
