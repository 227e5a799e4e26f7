"""What people do about jobs, and what they may."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from bartizan.backbone.events import Events
from bartizan.backbone.jobs import (
    JobContext,
    JobNotRetriable,
    Jobs,
    JobsSettings,
    UnknownJob,
    Worker,
)
from bartizan.backbone.jobs.capability import capability
from bartizan.backbone.jobs.routes import routes
from bartizan.backbone.jobs.types import Wish
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller, NobodyAsks, OperatorsOnly, PermissionMissing, current
from bartizan.foundation.database import Database
from bartizan.foundation.telemetry import Metrics

BOTH = frozenset({"jobs:read", "jobs:write"})
ACME = Caller(id="usr_a", kind="user", org_id="org_acme", permissions=BOTH)
GLOBEX = Caller(id="usr_g", kind="user", org_id="org_globex", permissions=BOTH)
READER = Caller(id="usr_r", kind="user", org_id="org_acme", permissions=frozenset({"jobs:read"}))
OPERATOR = Caller(id="usr_o", kind="user", operator=True)


@pytest.fixture
def events(database: Database, clock: ManualClock) -> Events:
    return Events(database, clock=clock)


@pytest.fixture
def jobs(database: Database, events: Events, clock: ManualClock) -> Jobs:
    jobs = Jobs(database, events, JobsSettings(attempts=1, backoff=30), clock=clock)

    async def fail(payload: dict[str, Any], job: JobContext) -> None:
        raise ValueError(payload["why"])

    async def work(payload: dict[str, Any], job: JobContext) -> None:
        clock.advance(payload.get("seconds", 0))

    jobs.handler("fail", fail)
    jobs.handler("work", work, open=True)
    return jobs


async def dead_letters(jobs: Jobs) -> None:
    for number in range(3):
        await jobs.enqueue("fail", {"why": f"no row {number} in 'table_{number}'"}, org_id="org_acme")
    await jobs.enqueue("fail", {"why": "disk full"}, org_id="org_acme")
    await jobs.enqueue("fail", {"why": "disk full"}, org_id="org_globex")
    await jobs.enqueue("nobody", org_id=None)
    await Worker(jobs).run_pending()


async def states(jobs: Jobs) -> list[str]:
    with current.acting_as(OPERATOR):
        return sorted(job.state for job in (await jobs.list()).items)


@pytest.mark.feature("JOB-03", "JOB-08")
async def test_dead_letters_are_grouped_by_how_they_failed(jobs: Jobs) -> None:
    await dead_letters(jobs)
    with current.acting_as(ACME):
        groups = (await jobs.failures()).items
    assert [(group.kind, group.count) for group in groups] == [("fail", 3), ("fail", 1)]
    assert groups[1].error == "ValueError: disk full"
    with current.acting_as(OPERATOR):
        assert sum(group.count for group in (await jobs.failures()).items) == 6


@pytest.mark.feature("JOB-03")
async def test_dead_letters_are_retried_one_by_one_by_group_or_all(jobs: Jobs, events: Events) -> None:
    await dead_letters(jobs)
    with current.acting_as(ACME):
        first = (await jobs.list(state="dead")).items[0]
        assert (await jobs.retry(first.id)).attempts == 0
        with pytest.raises(JobNotRetriable):
            await jobs.retry(first.id)
        group = (await jobs.failures()).items[0]
        assert (await jobs.retry_all(kind="fail", fingerprint=group.fingerprint)).count == group.count
        assert (await jobs.retry_all(kind="other")).count == 0
    assert await states(jobs) == ["dead"] * 2 + ["ready"] * 4
    with current.acting_as(OPERATOR):
        assert (await jobs.retry_all()).count == 2
    assert await states(jobs) == ["ready"] * 6
    with current.as_system("org_acme"):
        types = [event.type for event in (await events.list()).items]
    assert types[:2] == ["dead_jobs.retried", "job.retried"]


@pytest.mark.feature("JOB-03")
async def test_dead_letters_are_purged(jobs: Jobs) -> None:
    await dead_letters(jobs)
    with current.acting_as(ACME):
        assert (await jobs.purge(kind="fail", fingerprint="0" * 16)).count == 0
        assert (await jobs.purge()).count == 4
    assert await states(jobs) == ["dead"] * 2
    with current.acting_as(OPERATOR):
        assert (await jobs.purge()).count == 2
    assert await states(jobs) == []


@pytest.mark.feature("JOB-07")
async def test_a_cancelled_job_does_not_run_and_can_be_retried(jobs: Jobs) -> None:
    job_id = await jobs.enqueue("work", org_id="org_acme", unique_key="k")
    with current.acting_as(ACME):
        assert (await jobs.cancel(job_id)).state == "cancelled"
    assert await Worker(jobs).run_pending() == 0
    assert await jobs.enqueue("work", org_id="org_acme", unique_key="k") != job_id
    with current.acting_as(ACME):
        assert (await jobs.retry(job_id)).unique_key is None
    assert await Worker(jobs).run_pending() == 2


@pytest.mark.feature("JOB-08")
async def test_counts_and_latencies(jobs: Jobs, clock: ManualClock) -> None:
    jobs.handler("again", _fails, max_attempts=2)
    await jobs.enqueue("fail", {"why": "x"}, org_id="org_acme")
    await jobs.enqueue("again", org_id="org_acme")
    for seconds in (1, 2, 3):
        await jobs.enqueue("work", {"seconds": seconds}, org_id="org_acme")
    clock.advance(4)
    await Worker(jobs, concurrency=1).run_pending()
    await jobs.enqueue("work", org_id="org_acme")
    clock.advance(7)
    await jobs.enqueue("work", org_id="org_globex")
    await jobs.exchange.turn([], Wish(queues=["default"], want=1, after="org_acme"))
    with current.acting_as(ACME):
        counts = await jobs.counts()
    assert (counts.pending, counts.running, counts.failed, counts.dead) == (2, 0, 1, 1)
    assert counts.oldest == 7.0
    assert (counts.wait_p50, counts.wait_p95) == (5.0, 7.0)
    assert (counts.run_p50, counts.run_p95) == (2.0, 3.0)
    with current.acting_as(OPERATOR):
        everything = await jobs.counts()
    assert (everything.pending, everything.running) == (2, 1)
    assert everything.run_p50 == 2.0
    with current.acting_as(GLOBEX):
        mine = await jobs.counts()
    assert (mine.pending, mine.running, mine.oldest, mine.run_p50) == (0, 1, None, None)


async def _fails(payload: dict[str, Any], job: JobContext) -> None:
    raise OSError


@pytest.mark.feature("JOB-08")
async def test_lists_are_pages_newest_first_with_filters(jobs: Jobs) -> None:
    ids = [await jobs.enqueue("work", {"n": n}, org_id="org_acme") for n in range(3)]
    other = await jobs.enqueue("fail", {"why": "x"}, org_id="org_acme")
    await jobs.enqueue("work", org_id="org_globex")
    with current.acting_as(READER):
        page = await jobs.list(limit=2)
        assert [job.id for job in page.items] == [other, ids[2]]
        assert [job.id for job in (await jobs.list(cursor=page.next)).items] == [ids[1], ids[0]]
        assert [job.id for job in (await jobs.list(kind="fail")).items] == [other]
        assert (await jobs.list(state="done")).items == []


async def test_a_payload_is_shown_only_for_kinds_that_are_open(jobs: Jobs) -> None:
    shown = await jobs.enqueue("work", {"n": 1}, org_id="org_acme")
    hidden = await jobs.enqueue("fail", {"why": "https://example.test/reset?token=…"}, org_id="org_acme")
    with current.acting_as(READER):
        assert (await jobs.get(shown)).payload == {"n": 1}
        assert (await jobs.get(hidden)).payload is None
    with current.acting_as(OPERATOR):
        assert (await jobs.get(hidden)).payload is None


@pytest.mark.feature("JOB-08", "TEN-08")
async def test_another_organization_sees_and_changes_nothing(jobs: Jobs) -> None:
    await dead_letters(jobs)
    with current.acting_as(ACME):
        mine = (await jobs.list()).items[0]
    with current.acting_as(GLOBEX):
        assert {job.org_id for job in (await jobs.list()).items} == {"org_globex"}
        for act in (jobs.get, jobs.retry, jobs.cancel):
            with pytest.raises(UnknownJob):
                await act(mine.id)
        await jobs.purge()
    assert await states(jobs) == ["dead"] * 5


@pytest.mark.feature("JOB-08")
async def test_permissions_are_needed_and_everywhere_is_for_operators(jobs: Jobs) -> None:
    job_id = await jobs.enqueue("work", org_id="org_acme")
    with pytest.raises(NobodyAsks):
        await jobs.list()
    with current.acting_as(READER):
        for act in (jobs.retry, jobs.cancel):
            with pytest.raises(PermissionMissing):
                await act(job_id)
        for sweeping in (jobs.retry_all, jobs.purge):
            with pytest.raises(PermissionMissing):
                await sweeping()
    nobody = Caller(id="usr_n", kind="user", org_id="org_acme")
    with current.acting_as(nobody):
        for look in (jobs.list, jobs.counts, jobs.failures):
            with pytest.raises(PermissionMissing):
                await look()
    with current.acting_as(ACME):
        for far in (jobs.list, jobs.counts, jobs.failures, jobs.purge, jobs.retry_all):
            with pytest.raises(OperatorsOnly):
                await far(everywhere=True)
    with current.acting_as(Caller(id="usr_h", kind="user", permissions=BOTH)), pytest.raises(OperatorsOnly):
        await jobs.list()


@pytest.mark.feature("JOB-01")
async def test_jobs_that_ended_long_ago_are_swept_by_a_schedule(jobs: Jobs, clock: ManualClock) -> None:
    await dead_letters(jobs)
    await jobs.enqueue("work")
    gone = await jobs.enqueue("work", org_id="org_acme")
    with current.acting_as(ACME):
        await jobs.cancel(gone)
    worker = Worker(jobs)
    await worker.run_pending()
    kept = await jobs.enqueue("work", delay=timedelta(days=200).total_seconds())
    clock.advance(timedelta(days=8).total_seconds())
    await worker.run_pending()
    assert await states(jobs) == ["dead"] * 6 + ["done", "waiting"]  # the one done is the sweep itself
    clock.advance(timedelta(days=90).total_seconds())
    await worker.run_pending()
    assert await states(jobs) == ["done", "waiting"]
    with current.acting_as(OPERATOR):
        assert (await jobs.get(kept)).state == "waiting"


@pytest.mark.feature("JOB-08")
async def test_finished_attempts_are_counted_by_kind_and_outcome(
    database: Database, events: Events, clock: ManualClock
) -> None:
    metrics = Metrics()
    jobs = Jobs(database, events, clock=clock, metrics=metrics)
    jobs.handler("again", _fails)
    await jobs.enqueue("again")
    await jobs.enqueue("nobody")
    await Worker(jobs).run_pending()
    text = metrics.exposition()[0].decode()
    assert 'bartizan_jobs_total{kind="again",outcome="retry"} 1.0' in text
    assert 'bartizan_jobs_total{kind="unknown",outcome="dead"} 1.0' in text


async def test_the_routes_are_the_service(jobs: Jobs) -> None:
    app = FastAPI()
    app.include_router(routes(jobs))
    job_id = await jobs.enqueue("work", org_id="org_acme")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        with current.acting_as(ACME):
            assert [job["id"] for job in (await client.get("/jobs?state=ready")).json()["items"]] == [job_id]
            assert (await client.get("/jobs?state=odd")).status_code == 422
            assert (await client.get(f"/jobs/{job_id}")).json()["payload"] == {}
            assert (await client.get("/jobs/counts")).json()["pending"] == 1
            assert (await client.get("/jobs/failures")).json()["items"] == []
            assert (await client.post(f"/jobs/{job_id}/cancel")).json()["state"] == "cancelled"
            assert (await client.post(f"/jobs/{job_id}/retry")).json()["state"] == "ready"
            assert (await client.post("/jobs/retry")).json() == {"count": 0}
            assert (await client.post("/jobs/purge")).json() == {"count": 0}
            new = {"name": "n", "kind": "work", "every": 60}
            made = await client.post("/jobs/schedules", json=new)
            assert made.status_code == 201
            path = f"/jobs/schedules/{made.json()['id']}"
            assert (await client.post(f"{path}/pause")).json()["active"] is False
            assert (await client.post(f"{path}/resume")).json()["active"] is True
            assert (await client.post(f"{path}/run")).status_code == 201
            assert len((await client.get("/jobs/schedules")).json()["items"]) == 1
            assert (await client.delete(path)).status_code == 204


def test_the_inventory_is_complete() -> None:
    assert capability.name == "jobs"
    assert {permission.name for permission in capability.permissions} == BOTH
    assert capability.jobs == {"jobs.sweep": Jobs.sweep}
    assert {table.__tablename__ for table in capability.tables} == {"bz_jobs", "bz_jobs_schedules"}
