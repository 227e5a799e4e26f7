"""Jobs through the public service, on both databases."""

import asyncio
import functools
import threading
from datetime import timedelta
from typing import Any

import pytest

from bartizan.backbone.events import Events
from bartizan.backbone.jobs import (
    GiveUp,
    HandlerTaken,
    JobContext,
    JobDied,
    Jobs,
    JobsSettings,
    LeaseLost,
    PayloadRefused,
    RetryLater,
    Worker,
)
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Origin, current
from bartizan.foundation.database import Database

SETTINGS = JobsSettings(
    lease=1.0, poll=0.1, backoff=10.0, grace=0.5, per_organization=5, concurrency=20, payload_limit=1024
)


@pytest.fixture
def events(database: Database, clock: ManualClock) -> Events:
    return Events(database, clock=clock)


@pytest.fixture
def jobs(database: Database, events: Events, clock: ManualClock) -> Jobs:
    return Jobs(database, events, SETTINGS, clock=clock)


@pytest.fixture
def worker(jobs: Jobs) -> Worker:
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
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the transaction is the subject
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


@pytest.mark.feature("JOB-03")
async def test_a_handler_can_give_up_wait_without_spending_or_name_its_own_pauses(
    jobs: Jobs, worker: Worker, clock: ManualClock
) -> None:
    hopeless, busy = (
        Diary(GiveUp("no such address")),
        Diary(RetryLater("breaker open", after=30, spend=False)),
    )
    slow, paced = Diary(RetryLater("429", after=60)), Diary(OSError())
    jobs.handler("hopeless", hopeless)
    jobs.handler("busy", busy)
    jobs.handler("slow", slow, max_attempts=2)
    jobs.handler("paced", paced, backoff=(5, 50))
    ids = {kind: await jobs.enqueue(kind) for kind in ("hopeless", "busy", "slow", "paced")}
    assert await worker.run_pending() == 4
    clock.advance(10)
    assert await worker.run_pending() == 1  # paced, after 5 seconds
    clock.advance(25)
    assert await worker.run_pending() == 1  # busy, after 30
    clock.advance(30)
    assert await worker.run_pending() == 3  # slow after 60, paced after 50, busy again
    with current.as_system():
        found = {kind: await jobs.get(job_id) for kind, job_id in ids.items()}
    assert (found["hopeless"].state, found["hopeless"].attempts) == ("dead", 1)
    assert found["hopeless"].last_error == "GiveUp: no such address"
    assert (found["busy"].state, found["busy"].attempts) == ("waiting", 0)
    assert (found["slow"].state, found["slow"].attempts) == ("dead", 2)
    assert (found["paced"].state, found["paced"].attempts) == ("waiting", 3)
    assert found["paced"].last_error == "OSError"


@pytest.mark.feature("JOB-10", "JOB-03")
async def test_a_job_that_nobody_handles_goes_to_the_dead_letters_and_says_why(
    jobs: Jobs, worker: Worker, events: Events
) -> None:
    died = list[Any]()
    events.listen(JobDied, lambda envelope: died.append(envelope.data))
    job_id = await jobs.enqueue("unheard.of", {"keep": "me"}, org_id="org_a")
    await worker.run_pending()
    with current.as_system("org_a"):
        job = await jobs.get(job_id)
    assert (job.state, job.attempts) == ("dead", 1)
    assert job.last_error == "UnknownKind: no handler is registered for 'unheard.of'."
    assert [(one["job_id"], one["kind"]) for one in died] == [(job_id, "unheard.of")]
    diary = Diary()
    jobs.handler("unheard.of", diary)
    with current.as_system("org_a"):
        assert (await jobs.retry(job_id)).state == "ready"
    await worker.run_pending()
    assert diary.payloads == [{"keep": "me"}]


@pytest.mark.feature("JOB-07")
async def test_a_unique_key_gives_the_live_job_instead_of_a_second_one(jobs: Jobs, worker: Worker) -> None:
    jobs.handler("greet", Diary())
    first = await jobs.enqueue("greet", unique_key="once", org_id="org_a")
    assert await jobs.enqueue("greet", unique_key="once", org_id="org_a") == first
    assert await jobs.enqueue("greet", unique_key="once", org_id="org_a", delay=9) == first
    assert await jobs.enqueue("greet", unique_key="once", org_id="org_b") != first
    assert await jobs.enqueue("greet", unique_key="once", org_id=None) != first
    await worker.run_pending()
    assert await jobs.enqueue("greet", unique_key="once", org_id="org_a") != first


@pytest.mark.feature("JOB-07")
async def test_higher_priority_goes_first_within_an_organization(jobs: Jobs) -> None:
    order = list[int]()

    async def note(payload: dict[str, Any], job: JobContext) -> None:
        order.append(payload["n"])

    jobs.handler("note", note)
    for n, priority in enumerate((0, -5, 10, 0, 10)):
        await jobs.enqueue("note", {"n": n}, org_id="org_a", priority=priority)
    await Worker(jobs, concurrency=1).run_pending()
    assert order == [2, 4, 0, 3, 1]


@pytest.mark.feature("JOB-01")
async def test_a_delayed_job_waits_for_its_time(jobs: Jobs, worker: Worker, clock: ManualClock) -> None:
    diary = Diary()
    jobs.handler("greet", diary)
    await jobs.enqueue("greet", {"n": 1}, delay=60)
    await jobs.enqueue("greet", {"n": 2}, run_at=clock.now() + timedelta(seconds=30))
    assert await worker.run_pending() == 0
    clock.advance(30)
    assert await worker.run_pending() == 1
    clock.advance(30)
    assert await worker.run_pending() == 1
    assert [payload["n"] for payload in diary.payloads] == [2, 1]


async def test_a_job_runs_as_the_system_for_its_organization_and_keeps_the_request_id(
    jobs: Jobs, worker: Worker
) -> None:
    seen = list[Any]()

    async def look(payload: dict[str, Any], job: JobContext) -> None:
        caller, origin = current.caller, current.origin
        assert origin
        seen.append((caller.kind, caller.id, caller.org_id, origin.request_id))

    jobs.handler("look", look)
    with current.as_system("org_a"), current.receiving(Origin(request_id="req_1")):
        await jobs.enqueue("look")
        await jobs.enqueue("look", org_id="org_b")
    bare = await jobs.enqueue("look")
    await worker.run_pending()
    assert sorted(seen, key=str) == [
        ("system", "job:look", "org_a", "req_1"),
        ("system", "job:look", "org_b", "req_1"),
        ("system", "job:look", None, bare),
    ]


async def test_plain_functions_run_in_a_thread_and_know_their_organization(
    jobs: Jobs, worker: Worker
) -> None:
    seen = list[Any]()

    def work(payload: dict[str, Any], job: JobContext) -> None:
        seen.append((threading.current_thread() is threading.main_thread(), current.org_id))

    async def hidden(payload: dict[str, Any], job: JobContext) -> None:
        seen.append("hidden")

    jobs.handler("work", work)
    jobs.handler("hidden", lambda payload, job: hidden(payload, job))  # noqa: PLW0108 - hides what it is
    jobs.handler("partial", functools.partial(hidden))
    await jobs.enqueue("work", org_id="org_a")
    await jobs.enqueue("hidden")
    await jobs.enqueue("partial")
    assert await worker.run_pending() == 3
    assert sorted(seen, key=str) == [(False, "org_a"), "hidden", "hidden"]


@pytest.mark.feature("JOB-07")
async def test_an_attempt_that_takes_too_long_is_stopped(jobs: Jobs, worker: Worker) -> None:
    stopped = asyncio.Event()

    async def hang(payload: dict[str, Any], job: JobContext) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    async def impatient(payload: dict[str, Any], job: JobContext) -> None:
        message = "its own"
        raise TimeoutError(message)

    jobs.handler("hang", hang, timeout=0.05, max_attempts=1)
    jobs.handler("impatient", impatient, max_attempts=1)
    hung, other = await jobs.enqueue("hang"), await jobs.enqueue("impatient")
    await worker.run_pending()
    assert stopped.is_set()
    with current.as_system():
        assert (await jobs.get(hung)).last_error == "TimeoutError: not done within 0.05 s"
        assert (await jobs.get(other)).last_error == "TimeoutError: its own"


async def test_a_handler_that_cancels_itself_has_failed(jobs: Jobs, worker: Worker) -> None:
    async def quit_(payload: dict[str, Any], job: JobContext) -> None:
        raise asyncio.CancelledError

    jobs.handler("quit", quit_, max_attempts=1)
    job_id = await jobs.enqueue("quit")
    await worker.run_pending()
    with current.as_system():
        assert (await jobs.get(job_id)).state == "dead"


@pytest.mark.feature("EVT-08", "X-13")
async def test_work_and_the_end_of_its_job_can_share_one_transaction(
    jobs: Jobs, worker: Worker, database: Database
) -> None:
    jobs.handler("greet", Diary())

    async def step(payload: dict[str, Any], job: JobContext) -> None:
        async with job.finishing():
            await jobs.enqueue("greet", {"from": job.id})
            if payload["cancel"]:
                with current.as_system():
                    await jobs.cancel(job.id)

    jobs.handler("step", step)
    good = await jobs.enqueue("step", {"cancel": False})
    bad = await jobs.enqueue("step", {"cancel": True})
    await worker.run_pending()
    with current.as_system():
        assert (await jobs.get(good)).state == "done"
        greetings = [job for job in (await jobs.list()).items if job.kind == "greet"]
        assert len(greetings) == 1
        # The cancellation was undone with the rest: this attempt counts for nothing, and the lease runs out.
        assert (await jobs.get(bad)).state == "leased"


async def test_finishing_a_job_that_another_worker_has_raises(jobs: Jobs, clock: ManualClock) -> None:
    caught = list[Exception]()
    second = Worker(jobs)

    async def slow(payload: dict[str, Any], job: JobContext) -> None:
        if job.attempt == 1:
            clock.advance(5)
            await second.run_pending()
        try:
            async with job.finishing():
                pass
        except LeaseLost as error:
            caught.append(error)
            raise

    jobs.handler("slow", slow)
    job_id = await jobs.enqueue("slow")
    await Worker(jobs).run_pending()
    assert len(caught) == 1
    with current.as_system():
        assert ((job := await jobs.get(job_id)).state, job.attempts) == ("done", 2)


@pytest.mark.feature("X-13")
async def test_many_jobs_are_added_together_or_not_at_all(
    jobs: Jobs, worker: Worker, database: Database
) -> None:
    diary = Diary()
    jobs.handler("greet", diary)
    assert await jobs.enqueue_many("greet", []) == []
    ids = await jobs.enqueue_many("greet", [{"n": n} for n in range(50)], org_id="org_a", priority=1)
    with pytest.raises(PayloadRefused):
        await jobs.enqueue_many("greet", [{"n": 1}, {"n": "x" * 2000}])
    assert await worker.run_pending() == 50
    assert sorted(payload["n"] for payload in diary.payloads) == list(range(50))
    assert sorted(context.id for context in diary.contexts) == sorted(ids)


async def test_a_payload_must_be_json_and_small(jobs: Jobs) -> None:
    for payload in ({"x": object()}, {"x": float("nan")}, {"x": "y" * 2000}):
        with pytest.raises(PayloadRefused):
            await jobs.enqueue("greet", payload)


async def test_one_kind_has_one_handler(jobs: Jobs) -> None:
    diary = Diary()
    jobs.handler("greet", diary)
    jobs.handler("greet", diary)
    with pytest.raises(HandlerTaken):
        jobs.handler("greet", Diary())


@pytest.mark.feature("JOB-07")
async def test_a_worker_serves_only_the_queues_it_was_given(jobs: Jobs) -> None:
    diary = Diary()
    jobs.handler("greet", diary)
    jobs.handler("grind", diary, queue="heavy")
    await jobs.enqueue("greet", {"n": 1})
    await jobs.enqueue("grind", {"n": 2})
    await jobs.enqueue("greet", {"n": 3}, queue="odd")
    assert await Worker(jobs, queues=["heavy"]).run_pending() == 1
    assert await Worker(jobs).run_pending() == 2
    assert sorted(payload["n"] for payload in diary.payloads) == [1, 2, 3]
    assert diary.payloads[0] == {"n": 2}


@pytest.mark.feature("EVT-08", "X-13")
async def test_a_durable_listener_gets_one_job_for_each_event_and_only_if_it_was_announced(
    jobs: Jobs, worker: Worker, events: Events, database: Database
) -> None:
    diary, other = Diary(), Diary()
    jobs.on("job.*", diary, name="mirror")
    jobs.on(JobDied, other, name="pager", backoff=(1,), timeout=5, max_attempts=3, queue="alarms")
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the transaction is the subject
        async with database.transaction():
            await events.announce(JobDied(job_id="j0", kind="k", attempts=1, reason="r"), org_id="org_a")
            raise ZeroDivisionError
    async with database.transaction():
        await events.announce(JobDied(job_id="j1", kind="k", attempts=1, reason="r"), org_id="org_a")
    assert await worker.run_pending() == 2
    (payload,), (context,) = diary.payloads, diary.contexts
    assert (payload["type"], payload["tenant_id"], payload["data"]["job_id"]) == ("job.died", "org_a", "j1")
    assert (context.org_id, context.kind) == ("org_a", "event:mirror")
    assert other.payloads == [payload]
    assert (other.contexts[0].queue, other.contexts[0].max_attempts) == ("alarms", 3)


async def test_listeners_that_fail_do_not_keep_each_other_busy(
    jobs: Jobs, worker: Worker, events: Events
) -> None:
    jobs.on("*", Diary(GiveUp()), name="one")
    jobs.on("*", Diary(GiveUp()), name="two")
    await jobs.enqueue("unheard.of")
    assert await worker.run_pending() == 3
