"""Jobs through the public service, on both databases."""

import asyncio
import contextvars
import threading
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from bartizan.backbone.events import Events
from bartizan.backbone.jobs import GiveUp, JobContext, Jobs, JobsSettings, PayloadRefused, RetryLater, Worker
from bartizan.backbone.jobs.errors import HandlerTaken
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Origin, current
from bartizan.foundation.database import Database

SETTINGS = JobsSettings(lease=2.0, poll=0.1, backoff=10.0, grace=0.3, per_organization=5, concurrency=20)


@pytest.fixture
def jobs(database: Database, clock: ManualClock) -> Jobs:
    return Jobs(database, Events(database, clock=clock), SETTINGS, clock=clock)


@pytest.fixture
async def worker(jobs: Jobs) -> Worker:
    return Worker(jobs)


class Diary:
    """A handler that writes down what it was given."""

    def __init__(self, error: Exception | None = None) -> None:
        self.payloads: list[dict[str, Any]] = []
        self.contexts: list[JobContext] = []
        self.error = error

    async def __call__(self, payload: dict[str, Any], job: JobContext) -> None:
        self.payloads.append(payload)
        self.contexts.append(job)
        if self.error:
            raise self.error


@pytest.mark.feature("JOB-01", "JOB-02")
async def test_a_job_is_done_by_the_handler_of_its_kind(jobs: Jobs, worker: Worker) -> None:
    diary = Diary()
    jobs.handler("greet", diary)
    job_id = await jobs.enqueue("greet", {"name": "Ada", "odd": [1, None, "ü"]})
    assert await worker.run_pending() == 1
    assert diary.payloads == [{"name": "Ada", "odd": [1, None, "ü"]}]
    with current.as_system():
        job = await jobs.get(job_id)
    assert (job.state, job.attempts, job.last_error) == ("done", 1, None)


@pytest.mark.feature("X-13", "JOB-01", "EVT-08")
async def test_a_job_exists_only_if_the_callers_transaction_commits(jobs: Jobs, database: Database) -> None:
    jobs.handler("greet", Diary())
    with pytest.raises(ZeroDivisionError):
        async with database.transaction():
            await jobs.enqueue("greet")
            raise ZeroDivisionError
    async with database.transaction():
        kept = await jobs.enqueue("greet")
    with current.as_system():
        assert [job.id for job in (await jobs.list()).items] == [kept]


@pytest.mark.feature("JOB-03")
async def test_a_failing_job_is_tried_five_times_with_growing_pauses_and_then_dies(
    jobs: Jobs, worker: Worker, clock: ManualClock
) -> None:
    diary = Diary(ValueError("no such thing as 42"))
    jobs.handler("greet", diary)
    job_id = await jobs.enqueue("greet")
    pauses = [0, 11, 22, 44, 88]
    for number, pause in enumerate(pauses, 1):
        clock.advance(pause * 0.8)  # jitter is 10 %: this is too early
        assert await worker.run_pending() == (1 if pause == 0 else 0)
        clock.advance(pause * 0.2)
        assert await worker.run_pending() == (0 if pause == 0 else 1)
        assert len(diary.payloads) == number
    with current.as_system():
        job = await jobs.get(job_id)
    assert (job.state, job.attempts, job.last_error) == ("dead", 5, "ValueError: no such thing as 42")
    assert [context.last for context in diary.contexts] == [False] * 4 + [True]
