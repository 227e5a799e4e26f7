"""The running worker: leases, fairness, draining."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text

from bartizan.backbone.events import Events
from bartizan.backbone.jobs import JobContext, JobFinished, Jobs, JobsSettings, Worker
from bartizan.backbone.jobs.types import Wish
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import current
from bartizan.foundation.database import Database

SETTINGS = JobsSettings(lease=0.6, poll=0.1, grace=1.5, per_organization=4, concurrency=12)


@pytest.fixture
def events(database: Database) -> Events:
    return Events(database, clock=Clock())


@pytest.fixture
def jobs(database: Database, events: Events) -> Jobs:
    return Jobs(database, events, SETTINGS, clock=Clock())


@asynccontextmanager
async def running(worker: Worker, **options: Any) -> AsyncGenerator[asyncio.Task[None]]:
    task = asyncio.create_task(worker.run(**options))
    try:
        yield task
    finally:
        worker.stop()
        await task


async def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        await asyncio.sleep(0.01)


async def nothing(payload: dict[str, Any], job: JobContext) -> None:
    pass


async def state_of(jobs: Jobs, job_id: str) -> tuple[str, int]:
    with current.as_system():
        job = await jobs.get(job_id)
    return job.state, job.attempts


@pytest.mark.feature("JOB-01")
async def test_a_worker_is_woken_by_the_commit_and_need_not_poll(database: Database) -> None:
    clock = Clock()
    slow = SETTINGS.model_copy(update={"poll": 60.0, "lease": 600.0})
    jobs = Jobs(database, Events(database, clock=clock), slow, clock=clock)
    done = asyncio.Event()

    async def work(payload: dict[str, Any], job: JobContext) -> None:
        done.set()

    jobs.handler("work", work)
    async with running(Worker(jobs)):
        await asyncio.sleep(0.1)
        await jobs.enqueue("work")
        await asyncio.wait_for(done.wait(), 0.8)  # a look-round for other processes' jobs comes after 0.8 s


@pytest.mark.feature("JOB-01")
async def test_a_worker_finds_what_another_process_added(jobs: Jobs, database_url: str) -> None:
    done = asyncio.Event()

    async def work(payload: dict[str, Any], job: JobContext) -> None:
        done.set()

    jobs.handler("work", work)
    elsewhere = Database(database_url)
    other = Jobs(elsewhere, Events(elsewhere, clock=Clock()), SETTINGS, clock=Clock())
    async with running(Worker(jobs)):
        await other.enqueue("work", delay=0.2, queue="unnamed")
        await asyncio.wait_for(done.wait(), 5)
    await elsewhere.close()


@pytest.mark.feature("JOB-04")
async def test_a_job_longer_than_its_lease_is_kept_alive_and_done_once(jobs: Jobs) -> None:
    starts = list[int]()

    async def long(payload: dict[str, Any], job: JobContext) -> None:
        starts.append(job.attempt)
        await asyncio.sleep(1.5)

    jobs.handler("long", long)
    job_id = await jobs.enqueue("long")
    async with running(Worker(jobs)), running(Worker(jobs)):
        await asyncio.sleep(1.9)
    assert starts == [1]
    assert await state_of(jobs, job_id) == ("done", 1)


@pytest.mark.feature("JOB-07")
async def test_cancelling_a_running_job_stops_it_at_the_next_heartbeat(jobs: Jobs) -> None:
    events = list[str]()

    async def long(payload: dict[str, Any], job: JobContext) -> None:
        events.append("begun")
        try:
            await asyncio.sleep(30)
        finally:
            events.append("stopped")

    jobs.handler("long", long)
    job_id = await jobs.enqueue("long")
    async with running(Worker(jobs)):
        await until(lambda: events)
        with current.as_system():
            await jobs.cancel(job_id)
            with pytest.raises(JobFinished):
                await jobs.cancel(job_id)
        await until(lambda: "stopped" in events, 1)
    assert await state_of(jobs, job_id) == ("cancelled", 1)


@pytest.mark.feature("JOB-07")
async def test_a_cancelled_handler_that_will_not_stop_still_changes_nothing(jobs: Jobs) -> None:
    events = list[str]()

    async def stubborn(payload: dict[str, Any], job: JobContext) -> None:
        events.append("begun")
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            events.append("went on")

    jobs.handler("stubborn", stubborn)
    job_id = await jobs.enqueue("stubborn")
    async with running(Worker(jobs)):
        await until(lambda: events)
        with current.as_system():
            await jobs.cancel(job_id)
        await until(lambda: "went on" in events, 1)
    assert await state_of(jobs, job_id) == ("cancelled", 1)


@pytest.mark.feature("JOB-04")
async def test_a_stopping_worker_finishes_short_jobs_and_gives_long_ones_back(jobs: Jobs) -> None:
    begun = Counter[str]()

    async def sleep(payload: dict[str, Any], job: JobContext) -> None:
        begun[job.id] += 1
        await asyncio.sleep(payload["seconds"])

    jobs.handler("sleep", sleep)
    short = await jobs.enqueue("sleep", {"seconds": 0.2}, org_id="org_a")
    long = await jobs.enqueue("sleep", {"seconds": 30}, org_id="org_b")
    async with running(Worker(jobs), signals=True):
        await until(lambda: len(begun) == 2)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.3)
        late = await jobs.enqueue("sleep", {"seconds": 0})
    assert await state_of(jobs, short) == ("done", 1)
    assert await state_of(jobs, long) == ("ready", 0)
    assert await state_of(jobs, late) == ("ready", 0)


@pytest.mark.feature("JOB-04")
async def test_a_worker_whose_task_is_cancelled_drains_too(jobs: Jobs) -> None:
    begun = asyncio.Event()

    async def sleep(payload: dict[str, Any], job: JobContext) -> None:
        begun.set()
        await asyncio.sleep(0.1)

    jobs.handler("sleep", sleep)
    job_id = await jobs.enqueue("sleep")
    task = asyncio.create_task(Worker(jobs).run())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await state_of(jobs, job_id) == ("done", 1)


@pytest.mark.feature("X-14", "JOB-07")
async def test_an_organization_with_many_jobs_delays_nobody_and_keeps_to_its_cap(
    jobs: Jobs, database: Database
) -> None:
    order, now, most = list[str](), Counter[str](), Counter[str]()

    async def work(payload: dict[str, Any], job: JobContext) -> None:
        assert job.org_id
        now[job.org_id] += 1
        most[job.org_id] = max(most[job.org_id], now[job.org_id])
        await asyncio.sleep(0.005)
        now[job.org_id] -= 1
        order.append(job.org_id)

    jobs.handler("work", work)
    async with database.transaction():
        for _ in range(300):
            await jobs.enqueue("work", org_id="org_big")
        for n in range(20):
            await jobs.enqueue("work", org_id=f"org_{n:02}")
    async with running(Worker(jobs)), running(Worker(jobs)):
        await until(lambda: len(order) == 320, 30)
    assert max(place for place, org in enumerate(order) if org != "org_big") < 70
    assert most["org_big"] == 4


@pytest.mark.feature("X-14", "JOB-07")
async def test_a_small_worker_keeps_places_free_from_who_has_the_most(jobs: Jobs, database: Database) -> None:
    running_now, release = list[str](), asyncio.Event()

    async def work(payload: dict[str, Any], job: JobContext) -> None:
        assert job.org_id
        running_now.append(job.org_id)
        await release.wait()

    jobs.handler("work", work)
    await jobs.enqueue_many("work", [{}] * 30, org_id="org_big")
    async with running(Worker(jobs, concurrency=4)):  # no more than the cap of an organization
        await until(lambda: len(running_now) == 3)
        await jobs.enqueue("work", org_id="org_small")
        await until(lambda: "org_small" in running_now, 2)
        assert Counter(running_now)["org_big"] == 3
        release.set()


@pytest.mark.feature("X-14")
async def test_more_organizations_than_places_all_get_their_turn(jobs: Jobs, database: Database) -> None:
    order = list[str]()

    async def work(payload: dict[str, Any], job: JobContext) -> None:
        assert job.org_id
        order.append(job.org_id)

    jobs.handler("work", work)
    async with database.transaction():
        for n in range(40):
            for _ in range(5):
                await jobs.enqueue("work", org_id=f"org_{n:02}")
    async with running(Worker(jobs, concurrency=3)):
        await until(lambda: len(order) == 200, 30)
    assert len(set(order[:42])) == 40  # nobody twice before all came once, but for one batch


@pytest.mark.feature("JOB-04")
async def test_jobs_of_silent_workers_come_back_and_poison_runs_out_of_attempts(
    jobs: Jobs, events: Events
) -> None:
    jobs.handler("work", nothing)
    job_id = await jobs.enqueue("work", max_attempts=2, org_id="org_a")

    async def claim_and_fall_silent() -> None:
        turn = await jobs.exchange.turn([], Wish(queues=["default"], want=10))
        assert [job.id for job in turn.claimed] == [job_id]
        await asyncio.sleep(0.7)
        await jobs.exchange.upkeep()

    await claim_and_fall_silent()
    assert await state_of(jobs, job_id) == ("ready", 1)
    await claim_and_fall_silent()
    assert await state_of(jobs, job_id) == ("dead", 2)
    with current.as_system("org_a"):
        assert [event.type for event in (await events.list()).items] == ["job.died"]


@pytest.mark.feature("JOB-04")
async def test_a_worker_that_lost_its_lease_writes_nothing(jobs: Jobs) -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def work(payload: dict[str, Any], job: JobContext) -> None:
        begun.set()
        await release.wait()
        message = "too late"
        raise RuntimeError(message)

    jobs.handler("work", work)
    job_id = await jobs.enqueue("work")
    slow = Worker(jobs)
    attempt = asyncio.create_task(slow.run_pending())  # no heartbeat here: as good as frozen
    await begun.wait()
    await asyncio.sleep(0.7)
    await jobs.exchange.upkeep()
    jobs.handlers.pop("work")
    jobs.handler("work", nothing)
    await Worker(jobs).run_pending()
    release.set()
    await attempt
    assert await state_of(jobs, job_id) == ("done", 2)


@pytest.mark.feature("JOB-04")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_worker_outlives_a_database_that_goes_away(database: Database, database_url: str) -> None:
    clock = Clock()
    jobs = Jobs(database, Events(database, clock=clock), SETTINGS, clock=clock)
    done = Counter[str]()

    async def work(payload: dict[str, Any], job: JobContext) -> None:
        done[job.id] += 1
        await asyncio.sleep(0.3)

    jobs.handler("work", work)
    elsewhere = Database(database_url)
    async with running(Worker(jobs)):
        first = await jobs.enqueue("work")
        await until(lambda: done)
        async with elsewhere.transaction() as session:
            await session.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND usename = current_user"
                    " AND pid <> pg_backend_pid()"
                )
            )
        async with elsewhere.transaction():
            second = await Jobs(elsewhere, Events(elsewhere, clock=clock), clock=clock).enqueue("work")
        await until(lambda: done[second], 10)
        await asyncio.sleep(0.5)
    assert (await state_of(jobs, first))[0] == (await state_of(jobs, second))[0] == "done"
    await elsewhere.close()


@pytest.mark.feature("JOB-04")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_the_clock_of_a_worker_does_not_matter_on_postgresql(database: Database) -> None:
    class Fast(Clock):
        def now(self) -> Any:
            return super().now().replace(year=2099)

    starts = list[str]()

    def build(clock: Clock, name: str) -> Jobs:
        jobs = Jobs(database, Events(database, clock=clock), SETTINGS, clock=clock)

        async def work(payload: dict[str, Any], job: JobContext) -> None:
            starts.append(name)
            await asyncio.sleep(0.8)

        jobs.handler("work", work)
        return jobs

    right, wrong = build(Clock(), "right"), build(Fast(), "wrong")
    later = await wrong.enqueue("work", delay=60)
    job_id = await right.enqueue("work")
    async with running(Worker(right)):
        await until(lambda: starts)
        async with running(Worker(wrong)):
            await asyncio.sleep(1.2)
    assert starts == ["right"]
    assert await state_of(right, job_id) == ("done", 1)
    assert await state_of(right, later) == ("waiting", 0)
