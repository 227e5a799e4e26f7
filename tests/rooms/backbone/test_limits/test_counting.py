"""The algorithm, in memory: never more than the burst and what came back, and nobody waits for ever."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.backbone.limits import Bucket, Scope
from bartizan.backbone.limits.service.memory import Memory
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.settings import MICROSECOND, Rate

RATE = st.builds(Rate, st.integers(1, 50), st.sampled_from([1, 7, 60]), st.integers(1, 8))
STEPS = st.lists(st.tuples(st.floats(0, 30), st.integers(0, 6)), min_size=1, max_size=60)
NAMES: tuple[Scope, ...] = ("organization", "user", "key")


def memory(clock: ManualClock, most: int = 1_000) -> Memory:
    return Memory(clock, most_callers=most, most_addresses=most)


def bucket(rate: str | Rate, target: str = "one", name: Scope = "user", shelf: int = 0) -> Bucket:
    return Bucket(name, target, rate if isinstance(rate, Rate) else Rate.parse(rate), shelf=shelf)


def passed(counter: Memory, wanted: Bucket, times: int) -> int:
    return sum(counter.take((wanted,)).allowed for _ in range(times))


@pytest.mark.feature("RATE-01")
def test_a_burst_passes_at_once_and_then_one_by_one(clock: ManualClock) -> None:
    counter, limit = memory(clock), bucket("60/minute burst 5")
    assert passed(counter, limit, 10) == 5
    clock.advance(0.999)
    assert passed(counter, limit, 10) == 0
    clock.advance(0.001)
    assert passed(counter, limit, 10) == 1
    clock.advance(3)
    assert passed(counter, limit, 10) == 3
    clock.advance(3600)
    assert passed(counter, limit, 10) == 5


@pytest.mark.feature("X-18")
@given(st.lists(RATE, min_size=1, max_size=3), STEPS)
def test_no_span_of_time_holds_more_than_the_burst_and_the_rate(
    rates: list[Rate], steps: list[tuple[float, int]]
) -> None:
    clock = ManualClock()
    counter = memory(clock)
    every = [bucket(rate, str(place), NAMES[place]) for place, rate in enumerate(rates)]
    admitted: list[list[int]] = [[] for _ in every]
    for seconds, which in steps:
        clock.advance(seconds)
        chosen = tuple(b for place, b in enumerate(every) if which & (1 << place) or place == 0)
        now = int(clock.monotonic() * MICROSECOND // 1)
        if counter.take(chosen).allowed:
            for place, one in enumerate(every):
                if one in chosen:
                    admitted[place].append(now)
    for one, times in zip(every, admitted, strict=True):
        for first in range(len(times)):
            for last in range(first, len(times)):
                span = times[last] - times[first]
                most = one.rate.burst + span * one.rate.count / (one.rate.per * MICROSECOND)
                assert last - first + 1 <= most


@pytest.mark.feature("X-18", "RATE-02")
@given(st.lists(RATE, min_size=2, max_size=3), STEPS)
def test_a_refusal_takes_nothing_from_any_bucket(rates: list[Rate], steps: list[tuple[float, int]]) -> None:
    clock = ManualClock()
    counter, alone = memory(clock), [memory(clock) for _ in rates]
    every = tuple(bucket(rate, str(place), NAMES[place]) for place, rate in enumerate(rates))
    for seconds, _ in steps:
        clock.advance(seconds)
        verdict = counter.take(every)
        if verdict.allowed:
            for one, own in zip(every, alone, strict=True):
                assert own.take((one,)).allowed
        else:
            held = [own.take((one,)) for one, own in zip(every, alone, strict=True)]
            assert not all(one.allowed for one in held)
            return  # what was taken from the others alone is not to be given back


@pytest.mark.feature("RATE-02")
@given(RATE, STEPS)
def test_whoever_waits_as_told_is_let_through(rate: Rate, steps: list[tuple[float, int]]) -> None:
    clock = ManualClock()
    counter, limit = memory(clock), bucket(rate)
    for seconds, extra in steps:
        clock.advance(seconds)
        for _ in range(extra):
            verdict = counter.take((limit,))
        verdict = counter.take((limit,))
        if verdict.refused is not None:
            assert 0 < verdict.wait <= limit.increment
            clock.advance(verdict.retry_after)
            assert counter.take((limit,)).allowed


@pytest.mark.feature("X-18")
@given(RATE, st.lists(st.floats(-1e6, 1e4), min_size=1, max_size=30))
def test_a_clock_that_is_set_back_unlocks_nothing_and_locks_nobody_for_ever(
    rate: Rate, jumps: list[float]
) -> None:
    clock = ManualClock()
    clock.advance(2e6)
    counter, limit = memory(clock), bucket(rate)
    for jump in jumps:
        passed(counter, limit, rate.burst + 1)
        was_refused = not counter.take((limit,)).allowed
        clock.advance(jump)
        verdict = counter.take((limit,))
        if jump <= 0 and was_refused:
            assert not verdict.allowed
        if not verdict.allowed:
            assert verdict.wait <= limit.full
            clock.advance(verdict.retry_after)
            assert counter.take((limit,)).allowed


def test_the_bucket_that_takes_longest_is_named(clock: ManualClock) -> None:
    counter = memory(clock)
    quick, slow = bucket("1/second", "a", "organization"), bucket("1/minute", "b")
    assert counter.take((quick, slow)).allowed
    verdict = counter.take((quick, slow))
    assert (verdict.refused, verdict.retry_after) == (slow, 60)


def test_a_limit_that_was_lowered_holds_at_once_and_one_that_was_raised_too(clock: ManualClock) -> None:
    counter = memory(clock)
    assert passed(counter, bucket("100/minute"), 200) == 100
    raised = bucket("6000/minute burst 100")
    assert not counter.take((raised,)).allowed
    clock.advance(0.01)
    assert counter.take((raised,)).allowed
    lowered = bucket("1/minute")
    assert not counter.take((lowered,)).allowed
    clock.advance(60)
    assert counter.take((lowered,)).allowed


@pytest.mark.feature("RATE-08")
def test_what_is_at_rest_is_forgotten(clock: ManualClock) -> None:
    counter = memory(clock, 5_000)
    for number in range(3_000):
        counter.take((bucket("10/second", str(number)),))
    assert len(counter) == 3_000
    clock.advance(0.05)
    counter.tidy()
    assert len(counter) == 3_000
    clock.advance(0.3)
    counter.tidy()
    assert len(counter) == 0


@pytest.mark.feature("RATE-08", "X-18")
def test_beyond_the_bound_newcomers_share_and_nobody_gains(clock: ManualClock) -> None:
    counter = memory(clock, 100)
    known = bucket("5/hour", "known")
    assert passed(counter, known, 10) == 5
    for number in range(50_000):
        counter.take((bucket("5/hour", str(number)),))
    assert len(counter) <= 100 + 1_024
    assert passed(counter, known, 10) == 0
    newcomer = bucket("5/hour", "newcomer")
    assert passed(counter, newcomer, 10) == 0
    clock.advance(3600)
    counter.tidy()
    assert len(counter) == 0
    assert passed(counter, newcomer, 10) == 5


def test_a_newcomer_that_gets_a_place_of_its_own_keeps_what_it_has_used(clock: ManualClock) -> None:
    counter = memory(clock, 100)
    for number in range(100):
        counter.take((bucket("1/second", str(number)),))
    newcomer = bucket("5/hour", "newcomer")
    assert passed(counter, newcomer, 10) == 5
    clock.advance(10)
    counter.tidy()  # the hundred are at rest, and the newcomer moves in
    assert passed(counter, newcomer, 10) == 0
    assert len(counter) == 1


@pytest.mark.feature("X-18")
def test_strangers_cannot_crowd_out_callers(clock: ManualClock) -> None:
    counter = memory(clock, 100)
    for number in range(5_000):
        counter.take((bucket("5/hour", str(number), "address", shelf=1),))
    first = [counter.take((bucket("5/hour", str(number)),)) for number in range(100)]
    assert all(verdict.levels == first[0].levels for verdict in first)
    assert all(a.allowed and b.allowed for a, b in pairwise(first))


def test_tidying_rests_in_between(clock: ManualClock) -> None:
    counter = memory(clock, 100)
    counter.tidy()
    counter.take((bucket("1000/second"),))
    clock.advance(0.1)
    counter.tidy()
    assert len(counter) == 1
    clock.advance(0.2)
    counter.tidy()
    assert len(counter) == 0
