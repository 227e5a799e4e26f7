"""How quickly writes become durable on SQLite, beside SQLAlchemy with aiosqlite.

``python -m benchmarks.writes [--quick]``. A service call writes its row, an event and an audit record in one
transaction; 20 tasks do so at once; ``synchronous`` is FULL on both sides. Then one-row plain functions, as
the audit log writes them. Rounds of all cases are interleaved and the median is shown.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData, event, insert
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import Mapped, mapped_column

from bartizan.foundation import ids
from bartizan.foundation.context import Caller, current
from bartizan.foundation.database import Database, OrgTable

TIMES, PLAIN = 2.0, 5000
TASKS = 20


class Sample(OrgTable):
    """Tables of this benchmark only."""

    __abstract__ = True
    metadata = MetaData()


class Thing(Sample):
    """What the call is about."""

    __tablename__ = "bench_things"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]


class Announced(Sample):
    """The event."""

    __tablename__ = "bench_events"
    id: Mapped[str] = mapped_column(primary_key=True)
    facts: Mapped[dict[str, Any]]


class Recorded(Sample):
    """The audit record."""

    __tablename__ = "bench_audit"
    id: Mapped[str] = mapped_column(primary_key=True)
    body: Mapped[str]


def rows(org_id: str) -> list[Sample]:
    """Make the three rows of one call."""
    return [
        Thing(id=ids.new("thg"), org_id=org_id, name="a thing"),
        Announced(id=ids.new("evt"), org_id=org_id, facts={"thing": "a thing", "colour": "red"}),
        Recorded(id=ids.new("aud"), org_id=org_id, body="x" * 300),
    ]


async def crowd(call: Callable[[], Awaitable[object]], calls: int, tasks: int) -> float:
    """Let many tasks make calls at once; give calls per second."""

    async def one() -> None:
        for _ in range(calls // tasks):
            await call()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(tasks)))
    return calls / (time.perf_counter() - began)


async def ours(file: Path, calls: int) -> float:
    """Measure service calls through the house's database."""
    database = Database(f"sqlite:///{file}")
    await database.create_tables(Sample.metadata)
    org_id = ids.new("org")

    async def call() -> None:
        async with database.transaction() as session:
            session.add_all(rows(org_id))

    with current.acting_as(Caller(id="usr_bench", kind="user", org_id=org_id)):
        await crowd(call, TASKS, TASKS)
        rate = await crowd(call, calls, TASKS)
    await database.close()
    return rate


async def plain(file: Path, calls: int) -> float:
    """Measure one-row plain functions."""
    database = Database(f"sqlite:///{file}")
    await database.create_tables(Sample.metadata)
    org_id, statement = ids.new("org"), insert(Recorded)

    async def call() -> None:
        values = {"id": ids.new("aud"), "org_id": org_id, "body": "x" * 300}

        def record(connection: Connection) -> None:
            connection.execute(statement, values)

        await database.write(record)

    with current.acting_as(Caller(id="usr_bench", kind="user", org_id=org_id)):
        await crowd(call, 200, 200)
        rate = await crowd(call, calls, 200)
    await database.close()
    return rate


async def peer(file: Path, calls: int) -> float:
    """Measure the same service calls through SQLAlchemy and aiosqlite, set up as its documentation says."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{file}", connect_args={"timeout": 60})

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    async with engine.begin() as connection:
        await connection.run_sync(Sample.metadata.create_all)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    org_id = ids.new("org")

    async def call() -> None:
        async with sessions.begin() as session:
            session.add_all(rows(org_id))

    await crowd(call, TASKS, TASKS)
    rate = await crowd(call, calls, TASKS)
    await engine.dispose()
    return rate


def main() -> int:
    """Measure, print, and fail below the floor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    rounds, calls, units = (3, 600, 6000) if quick else (7, 2000, 30_000)
    cases = {
        "service call, ours": (ours, calls),
        "service call, SQLAlchemy + aiosqlite": (peer, calls),
        "plain function, ours": (plain, units),
    }
    rates: dict[str, list[float]] = {name: [] for name in cases}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(rounds):
            for place, (name, (measure, count)) in enumerate(cases.items()):
                rates[name].append(asyncio.run(measure(Path(folder) / f"{turn}-{place}.db", count)))
    medians = {name: statistics.median(found) for name, found in rates.items()}
    for name, rate in medians.items():
        print(f"{name:40} {rate:9,.0f} per second")
    ratio = medians["service call, ours"] / medians["service call, SQLAlchemy + aiosqlite"]
    single = medians["plain function, ours"]
    calls_said = f"durable service calls: {ratio:.1f} x the peer (floor {TIMES:.0f})"
    print(f"{calls_said}; plain functions: {single:,.0f}/s (floor {PLAIN:,})")
    return 0 if ratio >= TIMES and single >= PLAIN else 1


if __name__ == "__main__":
    sys.exit(main())
