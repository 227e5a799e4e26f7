"""Quotas by day and by month: hard ones refuse, soft ones mark, and both are told of once."""

from datetime import UTC, datetime, timedelta

import pytest

from bartizan.backbone.events import Envelope
from bartizan.backbone.usage import QuotaUsedUp, Usage
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import OperatorsOnly, PermissionMissing, current
from bartizan.foundation.errors import Unavailable

from .conftest import ACME, ADA, ADMIN, GLOBEX, MEMBER, NEIGHBOUR, OPERATOR, Make, Plans


def send(usage: Usage, times: int, org_id: str = ACME) -> int:
    """Send requests as the gate does; give how many were let through."""
    passed = 0
    for _ in range(times):
        refused = usage.quotas.refusal(org_id)
        usage.add(org_id, ADA, "GET", "/", 429 if refused else 200, 0.01)
        passed += refused is None
    return passed


async def known(usage: Usage) -> None:
    """Let a process see the organization for the first time."""
    usage.add(ACME, ADA, "GET", "/", 429, 0.01)
    await usage.flush()


@pytest.mark.feature("RATE-06")
async def test_a_hard_quota_lets_exactly_as_many_through_as_it_has(usage: Usage, plans: Plans) -> None:
    plans.limits[ACME] = {"requests_per_day": 10}
    await known(usage)
    assert send(usage, 4) == 4
    await usage.flush()
    assert send(usage, 20) == 6
    await usage.flush()
    assert send(usage, 5) == 0
    assert send(usage, 5, GLOBEX) == 5


@pytest.mark.feature("RATE-06")
async def test_a_refusal_says_which_quota_and_when_it_begins_anew(
    usage: Usage, plans: Plans, clock: ManualClock
) -> None:
    plans.limits[ACME] = {"requests_per_day": 2, "requests_per_month": 1_000}
    await known(usage)
    send(usage, 2)
    refusal = usage.quotas.refusal(ACME)
    assert isinstance(refusal, QuotaUsedUp)
    assert refusal.facts == {
        "scope": "quota",
        "resource": "requests_per_day",
        "limit": 2,
        "retry_after": 43_190,
        "resets_at": "2026-03-15T00:00:00+00:00",
    }


@pytest.mark.feature("RATE-06")
async def test_a_day_begins_anew_at_midnight_in_utc_and_a_month_on_its_first_day(
    usage: Usage, plans: Plans, clock: ManualClock
) -> None:
    plans.limits[ACME] = {"requests_per_day": 3, "requests_per_month": 5}
    await known(usage)
    assert send(usage, 9) == 3
    midnight = datetime(2026, 3, 15, tzinfo=UTC)
    clock.advance((midnight - clock.now()).total_seconds() - 1)
    assert send(usage, 1) == 0
    clock.advance(1)
    assert send(usage, 1) == 1, "without any flush in between"
    await usage.flush()
    assert send(usage, 9) == 1
    refusal = usage.quotas.refusal(ACME)
    assert refusal is not None
    assert refusal.facts["resource"] == "requests_per_month"
    assert refusal.facts["resets_at"] == "2026-04-01T00:00:00+00:00"
    clock.advance(86_400 * 3)
    await usage.flush()
    assert send(usage, 9) == 0
    clock.advance((datetime(2026, 4, 1, tzinfo=UTC) - clock.now()).total_seconds())
    assert send(usage, 9) == 3


@pytest.mark.feature("RATE-06")
async def test_a_soft_quota_marks_answers_and_refuses_nobody(usage: Usage, plans: Plans) -> None:
    plans.limits[ACME] = {"requests_per_day_soft": 5, "requests_per_month_soft": 7}
    await known(usage)
    assert send(usage, 4) == 4
    assert usage.quotas.headers(ACME) == ()
    send(usage, 1)
    assert usage.quotas.headers(ACME) == ((b"x-quota-exceeded", b"requests_per_day_soft"),)
    assert send(usage, 10) == 10
    await usage.flush()
    named = b"requests_per_day_soft, requests_per_month_soft"
    assert usage.quotas.headers(ACME) == ((b"x-quota-exceeded", named),)
    assert usage.quotas.headers(GLOBEX) == ()


@pytest.mark.feature("RATE-06")
async def test_a_soft_mark_goes_with_the_day(usage: Usage, plans: Plans, clock: ManualClock) -> None:
    plans.limits[ACME] = {"requests_per_day_soft": 1}
    await known(usage)
    send(usage, 2)
    assert usage.quotas.headers(ACME)
    clock.advance(86_400)
    assert usage.quotas.headers(ACME) == ()


@pytest.mark.feature("RATE-06")
async def test_nearing_and_exceeding_are_told_once_each_period(
    make: Make, plans: Plans, clock: ManualClock, told: list[Envelope]
) -> None:
    plans.limits[ACME] = {"requests_per_day": 10}
    here, there = make(), make()
    for _ in range(3):
        send(here, 2)
        await here.flush()
    assert told == []
    for replica in (here, there, here, there):
        send(replica, 1)
        await replica.flush()
        await replica.flush()
    assert [(one.type, one.data["used"]) for one in told] == [("quota.neared", 8), ("quota.exceeded", 10)]
    assert {one.tenant_id for one in told} == {ACME}
    assert (told[1].data["limit"], told[1].data["hard"]) == (10, True)
    clock.advance(86_400)
    send(here, 10)
    await here.flush()
    assert [one.type for one in told[2:]] == ["quota.exceeded"]


@pytest.mark.feature("RATE-06")
async def test_replicas_share_a_quota_up_to_what_they_have_not_written(make: Make, plans: Plans) -> None:
    plans.limits[ACME] = {"requests_per_month": 10}
    here, there = make(), make()
    await known(here)
    await known(there)
    assert send(here, 6) == 6
    await here.flush()
    assert send(there, 3) == 3, "it was told of nothing yet"
    await there.flush()
    assert send(there, 5) == 1
    await there.flush()
    await known(here)
    assert send(here, 5) == 0


async def test_another_plan_counts_within_seconds_and_is_told_of_anew(
    usage: Usage, plans: Plans, clock: ManualClock, told: list[Envelope]
) -> None:
    plans.limits[ACME] = {"requests_per_day": 2}
    await known(usage)
    assert send(usage, 5) == 2
    await usage.flush()
    plans.limits[ACME] = {"requests_per_day": 4}
    clock.advance(6)
    await known(usage)
    assert send(usage, 5) == 2
    await usage.flush()
    assert [(one.type, one.data["limit"]) for one in told] == [("quota.exceeded", 2), ("quota.exceeded", 4)]
    plans.limits[ACME] = {}
    clock.advance(6)
    await known(usage)
    assert send(usage, 5) == 5
    assert len(plans.asked) == 3


async def test_a_refusal_outlives_the_memory_of_the_plan(
    usage: Usage, plans: Plans, clock: ManualClock
) -> None:
    plans.limits[ACME] = {"requests_per_day": 1}
    await known(usage)
    send(usage, 1)
    clock.advance(600)
    assert usage.quotas.refusal(ACME) is not None


async def test_a_quota_holds_while_plans_cannot_be_read(
    make: Make, plans: Plans, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans.limits[ACME] = {"requests_per_day": 3}
    usage = make()
    await known(usage)

    async def away(_self: Plans, _org_ids: object) -> None:
        raise Unavailable

    monkeypatch.setattr(Plans, "__call__", away)
    clock.advance(60)
    assert send(usage, 2) == 2
    await usage.flush()
    assert usage.pending == 0
    assert send(usage, 2) <= 2


@pytest.mark.feature("RATE-06", "TEN-11")
async def test_quotas_are_shown_to_whom_they_concern(usage: Usage, plans: Plans) -> None:
    plans.limits[ACME] = {"seats": 5, "requests_per_day": 100, "requests_per_month_soft": 1_000}
    send(usage, 7)
    await usage.flush()
    with current.acting_as(ADMIN):
        soft, hard = await usage.quotas.list()
    assert (soft.resource, soft.hard, soft.limit, soft.used) == ("requests_per_month_soft", False, 1_000, 7)
    assert (hard.resource, hard.hard, hard.limit, hard.used) == ("requests_per_day", True, 100, 7)
    assert hard.resets_at == datetime(2026, 3, 14, tzinfo=UTC) + timedelta(days=1)
    with current.acting_as(NEIGHBOUR):
        assert await usage.quotas.list() == []
        with pytest.raises(OperatorsOnly):
            await usage.quotas.list(org=ACME)
    with current.acting_as(MEMBER), pytest.raises(PermissionMissing):
        await usage.quotas.list()
    with current.acting_as(OPERATOR):
        assert len(await usage.quotas.list(org=ACME)) == 2
        assert await usage.quotas.list() == []


async def test_without_plans_there_are_no_quotas(database: object, usage: Usage) -> None:
    assert send(usage, 50) == 50
    await usage.flush()
    assert send(usage, 50) == 50
    assert usage.quotas.headers(ACME) == ()
