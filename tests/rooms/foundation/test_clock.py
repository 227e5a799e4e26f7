"""Clocks: the machine's, and the one of tests."""

from datetime import UTC, datetime, timedelta

import pytest

from bartizan.foundation.clock import Clock, ManualClock, Recent


def test_the_machines_clock_is_aware_and_goes_forward() -> None:
    clock = Clock()
    first, tick = clock.now(), clock.monotonic()
    assert first.utcoffset() == timedelta(0)
    assert abs(first - datetime.now(UTC)) < timedelta(minutes=1)
    assert clock.monotonic() >= tick


def test_a_manual_clock_moves_only_when_told_to() -> None:
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    assert clock.now() == clock.now() == datetime(2026, 1, 1, tzinfo=UTC)
    clock.advance(1.5)
    assert clock.now() == datetime(2026, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)
    assert clock.monotonic() == pytest.approx(1.5)


def test_setting_the_wall_clock_lets_no_time_pass() -> None:
    clock = ManualClock()
    assert clock.now().utcoffset() == timedelta(0)
    before = clock.now()
    clock.jump(-3600)
    assert clock.now() == before - timedelta(hours=1)
    assert clock.monotonic() == 0


def test_an_answer_is_remembered_for_some_seconds() -> None:
    clock = ManualClock()
    recent: Recent[str, int] = Recent(clock, seconds=5)
    recent.put("a", 1, recent.generation)
    clock.advance(4.9)
    assert recent.get("a") == 1
    clock.advance(0.1)
    assert recent.get("a") is None
    assert recent.get("b") is None


def test_what_was_fetched_before_a_change_is_not_remembered_after_it() -> None:
    recent: Recent[str, int] = Recent(ManualClock())
    slow = recent.generation
    recent.drop()
    recent.put("a", 1, slow)
    assert recent.get("a") is None


def test_only_so_many_answers_are_remembered_and_the_oldest_goes() -> None:
    recent: Recent[int, int] = Recent(ManualClock(), size=2)
    for key in (1, 2, 1, 3):
        recent.put(key, key, recent.generation)
    assert [recent.get(key) for key in (1, 2, 3)] == [1, None, 3]


def test_what_changed_is_forgotten_and_the_rest_is_not() -> None:
    recent: Recent[int, int] = Recent(ManualClock())
    for key in (1, 2, 3):
        recent.put(key, key, recent.generation)
    recent.drop(lambda key: key == 2)
    assert [recent.get(key) for key in (1, 2, 3)] == [1, None, 3]
    recent.drop()
    assert recent.get(1) is None
