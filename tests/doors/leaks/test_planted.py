"""Leaks of every kind are found, each by itself, and an application without any raises no false alarm."""

from typing import Any

import pytest

from bartizan.doors.testing import FindLeaks
from tests.doors.leaks.planted import LEAKS, planted


@pytest.mark.feature("X-07", "TEN-08")
async def test_every_planted_leak_is_found_where_it_is(
    bartizan_leaks: FindLeaks, bartizan_settings: dict[str, Any], database_url: str
) -> None:
    report = await bartizan_leaks(planted(database_url, bartizan_settings, LEAKS))
    missed = {leak for leak, route in LEAKS.items() if not report.of(route)}
    assert not missed, str(report)
    assert "curl -i -X GET" in str(report)
    with pytest.raises(AssertionError, match="leaks between tenants"):
        report.assert_none()


@pytest.mark.feature("X-07")
async def test_the_same_application_without_leaks_raises_no_alarm(
    bartizan_leaks: FindLeaks, bartizan_settings: dict[str, Any], database_url: str
) -> None:
    report = await bartizan_leaks(planted(database_url, bartizan_settings, ()), patience=0.2)
    report.assert_none(complete=True)
    assert set(LEAKS.values()) <= set(report.exercised), str(report)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "leak",
    ["get", "list", "update", "delete", "count", "header-write", "reference", "broadcast", "existence"],
)
@pytest.mark.feature("X-07")
async def test_a_single_leak_is_found_and_nothing_else(
    bartizan_leaks: FindLeaks, bartizan_settings: dict[str, Any], database_url: str, leak: str
) -> None:
    report = await bartizan_leaks(planted(database_url, bartizan_settings, [leak]), patience=0.2)
    assert {found.route for found in report.leaks} == {LEAKS[leak]}, str(report)
