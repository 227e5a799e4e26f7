"""Workers that are killed, frozen and poisoned: real processes, real signals, both databases."""

import asyncio
import importlib.util
import signal
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bartizan.backbone.jobs import JobDetail, Jobs
from bartizan.foundation.context import current
from bartizan.foundation.database import Database

PROGRAM = Path(__file__).with_name("jobs_program.py")
LEASE = 1.5
Start = Callable[[], Awaitable[asyncio.subprocess.Process]]


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    path = tmp_path / "diary"
    path.touch()
    return path


@pytest.fixture
async def start(database: Database, database_url: str, diary: Path) -> AsyncGenerator[Start]:
    processes = list[asyncio.subprocess.Process]()

    async def start() -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(PROGRAM), database_url, str(diary), str(LEASE)
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.fixture
def jobs(database: Database) -> Jobs:
    spec = importlib.util.spec_from_file_location("jobs_program", PROGRAM)
    assert spec
    assert spec.loader
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    jobs: Jobs = program.build(database, LEASE)
    return jobs


def notes(diary: Path, word: str) -> list[tuple[float, int, int]]:
    whole = diary.read_text().rpartition("\n")[0]  # the last line may be being written
    lines = [line.split() for line in whole.splitlines()]
    return [
        (float(moment), int(pid), int(attempt)) for moment, pid, said, _, attempt in lines if said == word
    ]


async def until(condition: Callable[[], Any], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        await asyncio.sleep(0.02)


async def ended(jobs: Jobs, job_id: str, state: str, seconds: float = 20) -> JobDetail:
    end = time.monotonic() + seconds
    while True:
        with current.as_system():
            job = await jobs.get(job_id)
        if job.state == state:
            return job
        assert time.monotonic() < end, f"it is still {job.state}"
        await asyncio.sleep(0.05)


@pytest.mark.feature("JOB-04")
async def test_a_killed_workers_job_goes_to_another_worker_once_its_lease_ends(
    jobs: Jobs, start: Start, diary: Path
) -> None:
    job_id = await jobs.enqueue("slow", {"seconds": 4})
    first = await start()
    await until(lambda: notes(diary, "begun"))
    second = await start()
    await asyncio.sleep(2.2)  # longer than the lease: it is renewed while its worker lives
    assert len(notes(diary, "begun")) == 1
    first.kill()
    killed = time.monotonic()
    await until(lambda: len(notes(diary, "begun")) == 2)
    moment, pid, attempt = notes(diary, "begun")[1]
    assert (pid, attempt) == (second.pid, 2)
    assert moment > killed  # how soon is measured by benchmarks.jobs
    assert (await ended(jobs, job_id, "done")).attempts == 2
    assert len(notes(diary, "ended")) == 1


@pytest.mark.feature("JOB-04")
async def test_a_frozen_worker_that_wakes_after_its_lease_changes_nothing(
    jobs: Jobs, start: Start, diary: Path
) -> None:
    job_id = await jobs.enqueue("slow", {"seconds": 0.8, "fails_at": 1})
    frozen = await start()
    await until(lambda: notes(diary, "begun"))
    frozen.send_signal(signal.SIGSTOP)
    await start()
    done = await ended(jobs, job_id, "done")
    frozen.send_signal(signal.SIGCONT)
    await asyncio.sleep(1.5)  # it wakes, fails, and says so: nobody listens
    with current.as_system():
        assert await jobs.get(job_id) == done
    assert (done.attempts, done.last_error) == (2, None)
    assert frozen.returncode is None


@pytest.mark.feature("JOB-04", "JOB-03")
async def test_a_job_that_kills_every_worker_runs_out_of_attempts(
    jobs: Jobs, start: Start, diary: Path
) -> None:
    job_id = await jobs.enqueue("poison", max_attempts=2)
    for number in (1, 2):
        worker = await start()
        await asyncio.wait_for(worker.wait(), 20)
        assert len(notes(diary, "begun")) == number
    survivor = await start()
    job = await ended(jobs, job_id, "dead")
    assert job.attempts == 2
    assert "fell silent" in (job.last_error or "")
    assert survivor.returncode is None
    assert len(notes(diary, "begun")) == 2


@pytest.mark.feature("JOB-04", "JOB-01")
async def test_two_processes_share_the_work_and_do_each_job_once(
    jobs: Jobs, database: Database, start: Start, diary: Path
) -> None:
    workers = {(await start()).pid, (await start()).pid}
    given, end = 0, time.monotonic() + 20
    while {pid for _, pid, _ in notes(diary, "begun")} != workers:  # either may take long to start
        assert time.monotonic() < end, "one of them never took a job"
        await jobs.enqueue("slow", {"seconds": 0.2})
        given += 1
        await asyncio.sleep(0.05)
    async with database.transaction():
        for number in range(300):
            await jobs.enqueue("slow", {"seconds": 0.05}, org_id=f"org_{number % 7}")
    await until(lambda: len(notes(diary, "ended")) == given + 300)
    assert len(notes(diary, "begun")) == given + 300


@pytest.mark.feature("JOB-04", "JOB-01")
async def test_a_worker_told_to_stop_gives_back_what_it_cannot_finish(
    jobs: Jobs, start: Start, diary: Path
) -> None:
    job_id = await jobs.enqueue("slow", {"seconds": 60})
    worker = await start()
    await until(lambda: notes(diary, "begun"))
    worker.terminate()
    assert await asyncio.wait_for(worker.wait(), 10) == 0
    with current.as_system():
        assert ((job := await jobs.get(job_id)).state, job.attempts) == ("ready", 0)
