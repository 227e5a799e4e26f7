"""Schedules: when they fire, and that they fire once."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bartizan.backbone.events import Events
from bartizan.backbone.jobs import (
    BadSchedule,
    JobContext,
    Jobs,
    JobsSettings,
    NewSchedule,
    ScheduleFixed,
    ScheduleNameTaken,
    TooManySchedules,
    UnknownKind,
    UnknownSchedule,
    Worker,
)
from bartizan.foundation.clock import Clock, ManualClock
from bartizan.foundation.context import Caller, NobodyAsks, OperatorsOnly, PermissionMissing, current
from bartizan.foundation.database import Database

SETTINGS = JobsSettings(schedules_per_organization=2, poll=0.1)
MEMBER = Caller(id="usr_1", kind="user", org_id="org_a", permissions=frozenset({"jobs:read", "jobs:write"}))


class Ticks:
    """A handler that notes when it ran."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.moments: list[datetime] = []

    async def __call__(self, payload: dict[str, Any], job: JobContext) -> None:
        self.moments.append(self.clock.now())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 10, 24, 14, tzinfo=UTC))


def build(database: Database, clock: Clock) -> tuple[Jobs, Ticks]:
    jobs, ticks = Jobs(database, Events(database, clock=clock), SETTINGS, clock=clock), Ticks(clock)
    jobs.handler("tick", ticks, open=True)
    return jobs, ticks


async def live(jobs: Jobs, clock: ManualClock, hours: float, step: float = 600) -> None:
    """Let time pass with a worker that looks so often."""
    worker = Worker(jobs)
    for _ in range(int(hours * 3600 / step)):
        clock.advance(step)
        await worker.run_pending()


@pytest.mark.feature("JOB-05")
async def test_half_past_two_fires_once_on_the_night_that_has_it_twice(
    database: Database, clock: ManualClock
) -> None:
    jobs, ticks = build(database, clock)
    jobs.schedule("nightly", cron="30 2 * * *", zone="Europe/Berlin", kind="tick")
    await Worker(jobs).run_pending()
    await live(jobs, clock, 36, step=1800)
    assert ticks.moments == [
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),  # 02:30+02:00, an hour before the clocks go back
        datetime(2026, 10, 26, 1, 30, tzinfo=UTC),  # 02:30+01:00
    ]


@pytest.mark.feature("JOB-05")
async def test_half_past_two_moves_on_the_night_that_skips_it(database: Database, clock: ManualClock) -> None:
    clock.jump((datetime(2027, 3, 27, 14, tzinfo=UTC) - clock.now()).total_seconds())
    jobs, ticks = build(database, clock)
    jobs.schedule("nightly", cron="30 2 * * *", zone="Europe/Berlin", kind="tick")
    await Worker(jobs).run_pending()
    await live(jobs, clock, 36, step=1800)
    assert ticks.moments == [
        datetime(2027, 3, 28, 1, 0, tzinfo=UTC),  # 03:00+02:00: there was no 02:30
        datetime(2027, 3, 29, 0, 30, tzinfo=UTC),
    ]


@pytest.mark.feature("JOB-05")
async def test_an_interval_counts_from_its_start_and_does_not_drift(
    database: Database, clock: ManualClock
) -> None:
    jobs, ticks = build(database, clock)
    start = clock.now()
    jobs.schedule("often", every=900, kind="tick")
    await Worker(jobs).run_pending()
    clock.advance(20)  # the worker looks a little late, every five minutes
    await live(jobs, clock, 1, step=300)
    assert ticks.moments == [start + timedelta(seconds=20 + n) for n in (900, 1800, 2700, 3600)]
    with current.as_system():
        (row,) = [one for one in (await jobs.schedules.list()).items if one.name == "often"]
    assert row.next_run == start + timedelta(seconds=4500)
    assert row.last_run == ticks.moments[-1]


@pytest.mark.feature("JOB-06")
@pytest.mark.parametrize(("catch_up", "runs"), [("skip", 0), ("once", 1)])
async def test_what_was_missed_while_nothing_ran_is_skipped_or_done_once(
    database: Database, clock: ManualClock, catch_up: Any, runs: int
) -> None:
    jobs, ticks = build(database, clock)
    jobs.schedule("hourly", cron="0 * * * *", kind="tick", catch_up=catch_up)
    await Worker(jobs).run_pending()
    clock.advance(5 * 3600 + 1800)
    await Worker(jobs).run_pending()
    assert len(ticks.moments) == runs
    clock.advance(1800)
    await Worker(jobs).run_pending()
    assert len(ticks.moments) == runs + 1


@pytest.mark.feature("JOB-06")
async def test_many_schedulers_fire_once(database: Database, database_url: str) -> None:
    others = [Database(database_url) for _ in range(3)]
    houses = [build(each, Clock()) for each in (database, *others)]
    for jobs, _ in houses:
        jobs.schedule("quick", every=1, kind="tick")
    workers = [Worker(jobs) for jobs, _ in houses]
    tasks = [asyncio.create_task(worker.run()) for worker in workers]
    started = time.monotonic()
    while sum(len(ticks.moments) for _, ticks in houses) < 3:
        assert time.monotonic() < started + 60
        await asyncio.sleep(0.1)
    for worker in workers:
        worker.stop()
    await asyncio.gather(*tasks)
    runs = sum(len(ticks.moments) for _, ticks in houses)
    assert 3 <= runs <= time.monotonic() - started + 1, "four schedulers, one run a second"
    with current.as_system():
        assert len([job for job in (await houses[0][0].list()).items if job.kind == "tick"]) == runs
    for other in others:
        await other.close()


@pytest.mark.feature("JOB-06")
async def test_a_run_that_is_not_over_gets_no_second_one_beside_it(
    database: Database, clock: ManualClock
) -> None:
    jobs, _ = build(database, clock)
    jobs.schedule("often", every=60, kind="tick")
    await jobs.schedules.publish()
    for _ in range(3):
        clock.advance(60)
        await jobs.schedules.fire()
    with current.as_system():
        assert len((await jobs.list()).items) == 1


@pytest.mark.feature("JOB-05")
async def test_a_changed_declaration_changes_the_row_and_a_pause_outlives_restarts(
    database: Database, clock: ManualClock
) -> None:
    jobs, _ = build(database, clock)
    jobs.schedule("nightly", cron="0 3 * * *", kind="tick")
    await jobs.schedules.publish()
    with current.as_system():
        (first,) = [one for one in (await jobs.schedules.list()).items if one.name == "nightly"]
        await jobs.schedules.pause(first.id)
        await jobs.schedules.pause(first.id)
    again, ticks = build(database, clock)
    again.schedule("nightly", cron="0 4 * * *", kind="tick")
    await again.schedules.publish()
    with current.as_system():
        (second,) = [one for one in (await again.schedules.list()).items if one.name == "nightly"]
    assert (second.id, second.active, second.fixed) == (first.id, False, True)
    assert second.next_run == datetime(2026, 10, 25, 4, tzinfo=UTC)
    await live(again, clock, 24, step=3600)
    assert ticks.moments == []
    with current.as_system():
        resumed = await again.schedules.resume(first.id)
        assert await again.schedules.resume(first.id) == resumed
    assert resumed.next_run == datetime(2026, 10, 26, 4, tzinfo=UTC)
    await live(again, clock, 24, step=3600)
    assert len(ticks.moments) == 1


@pytest.mark.feature("JOB-06")
async def test_a_worker_leaves_schedules_that_its_program_does_not_know(
    database: Database, clock: ManualClock
) -> None:
    newer, _ = build(database, clock)
    newer.schedule("new", every=60, kind="tick")
    await newer.schedules.publish()
    older, _ = build(database, clock)
    clock.advance(90)
    await older.schedules.fire()
    with current.as_system():
        assert (await older.list()).items == []
    await newer.schedules.fire()
    with current.as_system():
        assert len((await older.list()).items) == 1


@pytest.mark.feature("JOB-05")
async def test_an_organization_has_schedules_of_its_own(database: Database, clock: ManualClock) -> None:
    jobs, ticks = build(database, clock)
    new = NewSchedule(name="mine", kind="tick", payload={"n": 1}, every=3600)
    with current.acting_as(MEMBER):
        made = await jobs.schedules.create(new)
        assert (made.org_id, made.fixed, made.next_run) == ("org_a", False, clock.now() + timedelta(hours=1))
        with pytest.raises(ScheduleNameTaken):
            await jobs.schedules.create(new)
        await jobs.schedules.create(NewSchedule(name="second", kind="tick", cron="0 0 1 1 *"))
        with pytest.raises(TooManySchedules):
            await jobs.schedules.create(NewSchedule(name="third", kind="tick", every=60))
        job_id = await jobs.schedules.run_now(made.id)
        assert (await jobs.get(job_id)).payload == {"n": 1}
    await live(jobs, clock, 1)
    assert len(ticks.moments) == 2
    with current.acting_as(MEMBER):
        page = await jobs.schedules.list(limit=1)
        assert [one.name for one in page.items] == ["second"]
        assert [one.name for one in (await jobs.schedules.list(cursor=page.next)).items] == ["mine"]
        await jobs.schedules.delete(made.id)
        with pytest.raises(UnknownSchedule):
            await jobs.schedules.delete(made.id)
    await live(jobs, clock, 2)
    assert len(ticks.moments) == 2


@pytest.mark.feature("JOB-05")
async def test_only_open_kinds_can_be_scheduled_by_organizations(
    database: Database, clock: ManualClock
) -> None:
    jobs, _ = build(database, clock)
    with current.acting_as(MEMBER):
        for kind in ("jobs.sweep", "unheard.of"):
            with pytest.raises(UnknownKind):
                await jobs.schedules.create(NewSchedule(name="x", kind=kind, every=60))


@pytest.mark.feature("JOB-05")
@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"every": 60, "cron": "* * * * *"},
        {"cron": "* * * *"},
        {"cron": "0 * * * * *"},
        {"cron": "61 * * * *"},
        {"cron": "0 0 30 2 *"},
        {"cron": "0 0 * * *", "zone": "Mars/Olympus"},
        {"cron": "0 0 * * *", "zone": "../../etc/passwd"},
    ],
)
async def test_a_schedule_that_makes_no_sense_is_refused(
    database: Database, clock: ManualClock, wrong: dict[str, Any]
) -> None:
    jobs, _ = build(database, clock)
    with current.acting_as(MEMBER), pytest.raises(BadSchedule):
        await jobs.schedules.create(NewSchedule(name="x", kind="tick", **wrong))
    with pytest.raises(BadSchedule):
        jobs.schedule("x", kind="tick", **wrong)


async def test_an_interval_below_a_second_is_refused(database: Database, clock: ManualClock) -> None:
    jobs, _ = build(database, clock)
    with pytest.raises(BadSchedule):
        jobs.schedule("x", kind="tick", every=0.5)


@pytest.mark.feature("JOB-05")
async def test_schedules_of_others_are_not_seen_and_those_of_the_program_not_deleted(
    database: Database, clock: ManualClock
) -> None:
    jobs, _ = build(database, clock)
    await jobs.schedules.publish()
    with current.acting_as(MEMBER):
        mine = await jobs.schedules.create(NewSchedule(name="mine", kind="tick", every=60))
        with pytest.raises(OperatorsOnly):
            await jobs.schedules.list(everywhere=True)
    stranger = Caller(id="usr_2", kind="user", org_id="org_b", permissions=MEMBER.permissions)
    with current.acting_as(stranger):
        assert (await jobs.schedules.list()).items == []
        for act in (
            jobs.schedules.pause,
            jobs.schedules.resume,
            jobs.schedules.run_now,
            jobs.schedules.delete,
        ):
            with pytest.raises(UnknownSchedule):
                await act(mine.id)
    reader = Caller(id="usr_3", kind="user", org_id="org_a", permissions=frozenset({"jobs:read"}))
    with current.acting_as(reader), pytest.raises(PermissionMissing):
        await jobs.schedules.pause(mine.id)
    with pytest.raises(NobodyAsks):
        await jobs.schedules.list()
    operator = Caller(id="usr_4", kind="user", org_id="org_c", operator=True)
    with current.acting_as(operator):
        names = {one.name: one for one in (await jobs.schedules.list(everywhere=True)).items}
        assert set(names) == {"jobs.sweep", "mine"}
        assert not (await jobs.schedules.pause(mine.id, everywhere=True)).active
    with current.as_system("platform"), pytest.raises(ScheduleFixed):
        await jobs.schedules.delete(names["jobs.sweep"].id)
