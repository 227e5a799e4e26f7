"""A worker in a process of its own, for tests that kill it: ``jobs_program.py URL DIARY [LEASE]``."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from bartizan.backbone.events import Events
from bartizan.backbone.jobs import JobContext, Jobs, JobsSettings, Worker
from bartizan.foundation.clock import Clock
from bartizan.foundation.database import Database


def build(database: Database, lease: float) -> Jobs:
    clock = Clock()
    settings = JobsSettings(lease=lease, poll=0.1, grace=1.0)
    return Jobs(database, Events(database, clock=clock), settings, clock=clock)


async def main(url: str, diary: Path, lease: float) -> None:
    def note(word: str, job: JobContext) -> None:
        with diary.open("a") as file:
            file.write(f"{time.monotonic():.3f} {os.getpid()} {word} {job.id} {job.attempt}\n")

    async def slow(payload: dict[str, Any], job: JobContext) -> None:
        note("begun", job)
        await asyncio.sleep(payload["seconds"])
        if payload.get("fails_at") == job.attempt:
            raise RuntimeError
        note("ended", job)

    async def poison(payload: dict[str, Any], job: JobContext) -> None:
        note("begun", job)
        os.kill(os.getpid(), signal.SIGKILL)

    database = Database(url)
    jobs = build(database, lease)
    jobs.handler("slow", slow)
    jobs.handler("poison", poison)
    await Worker(jobs).run(signals=True)
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])))
