"""SQLite: its settings, the turns of its writers, and what its failures do."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, MetaData, select, text
from sqlalchemy.orm import Mapped, mapped_column

from bartizan.foundation.database import Database, DatabaseSettings, Table
from bartizan.foundation.database.errors import (
    DatabaseBusy,
    DatabaseFull,
    DatabaseReadOnly,
    DatabaseUnreachable,
    WrongLoop,
)
from bartizan.foundation.errors import Unavailable


class Own(Table):
    __abstract__ = True
    metadata = MetaData()


class Grain(Own):
    __tablename__ = "bz_grains"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    body: Mapped[str] = mapped_column(default="")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "own.db"


@pytest.fixture
async def mill(file: Path) -> AsyncGenerator[Database]:
    database = Database(f"sqlite:///{file}")
    await database.create_tables(Own.metadata)
    yield database
    await database.close()


def on_disk(file: Path) -> list[int]:
    connection = sqlite3.connect(file)
    found = [row[0] for row in connection.execute("select id from bz_grains order by id")]
    connection.close()
    return found


def adding(number: int, body: str = "") -> Callable[[Connection], int]:
    def add(connection: Connection) -> int:
        connection.execute(Grain.__table__.insert(), {"id": number, "body": body})  # type: ignore[attr-defined]
        return number

    return add


async def pragma(session: object, name: str) -> object:
    return await session.scalar(text(f"PRAGMA {name}"))  # type: ignore[attr-defined]


@pytest.mark.feature("CORE-07")
async def test_both_writer_and_readers_have_the_safe_settings(mill: Database) -> None:
    for block in (mill.transaction, mill.reading):
        async with block() as session:
            assert await pragma(session, "journal_mode") == "wal"
            assert await pragma(session, "foreign_keys") == 1
            assert await pragma(session, "synchronous") == 2
            assert await pragma(session, "busy_timeout") == 30_000


@pytest.mark.feature("CORE-07")
async def test_synchronous_can_be_turned_down(file: Path) -> None:
    database = Database(f"sqlite:///{file}", DatabaseSettings(synchronous="NORMAL", busy_timeout=2))
    async with database.transaction() as session:
        assert await pragma(session, "synchronous") == 1
        assert await pragma(session, "busy_timeout") == 2000
    await database.close()


@pytest.mark.feature("CORE-07")
async def test_in_memory_works_without_any_service_and_leaves_nothing() -> None:
    database = Database("sqlite://")
    await database.create_tables(Own.metadata)
    await database.write(adding(1))
    async with database.reading() as session:
        assert (await session.scalars(select(Grain.id))).all() == [1]
    folder = Path(database.engine.url.database or "").parent
    assert folder.exists()
    await database.close()
    assert not folder.exists()


async def test_a_reader_never_waits_and_sees_one_state(mill: Database) -> None:
    await mill.write(adding(1))
    async with mill.transaction() as session:
        session.add(Grain(id=2))
        await session.flush()

        async def read() -> list[list[int]]:
            async with mill.reading() as reading:
                first = (await reading.scalars(select(Grain.id))).all()
                await asyncio.sleep(0.02)
                return [list(first), list((await reading.scalars(select(Grain.id))).all())]

        reading = asyncio.create_task(read())
        await asyncio.sleep(0.01)
    assert await reading == [[1], [1]]


async def test_writers_share_commits_and_go_first_come_first_served(mill: Database) -> None:
    order: list[int] = []

    async def one(number: int) -> None:
        async with mill.transaction() as session:
            order.append(number)
            session.add(Grain(id=number))

    await asyncio.gather(*(one(n) for n in range(200)))
    assert order == list(range(200))


async def test_who_waits_too_long_for_the_turn_is_told_to_come_back(file: Path) -> None:
    database = Database(f"sqlite:///{file}", DatabaseSettings(pool_timeout=0.05))
    await database.create_tables(Own.metadata)
    async with database.transaction() as session:
        session.add(Grain(id=1))
        other = asyncio.create_task(database.write(adding(2)))
        with pytest.raises(DatabaseBusy):
            await other
    await database.write(adding(3))
    assert on_disk(file) == [1, 3]
    await database.close()


async def test_another_processs_lock_is_waited_for_without_blocking_the_loop(
    mill: Database, file: Path
) -> None:
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(mill.write(adding(1)))
    ticks = 0
    while not waiting.done() and ticks < 20:
        await asyncio.sleep(0.005)
        ticks += 1
    assert ticks == 20
    other.execute("COMMIT")
    other.close()
    assert await waiting == 1


async def test_another_processs_lock_that_stays_is_reported(file: Path) -> None:
    database = Database(f"sqlite:///{file}", DatabaseSettings(busy_timeout=0.05))
    await database.create_tables(Own.metadata)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseBusy):
        await database.write(adding(1))
    other.execute("ROLLBACK")
    other.close()
    assert await database.write(adding(2)) == 2
    await database.close()


async def test_a_full_disk_fails_what_needs_room_and_nothing_for_ever(mill: Database, file: Path) -> None:
    await mill.write(adding(1))

    def limit(connection: Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    async def block(number: int) -> None:
        async with mill.transaction() as session:
            session.add(Grain(id=number, body="x" * 100_000))
            await session.flush()

    for attempt in (lambda: mill.write(adding(2, "x" * 100_000)), lambda: block(3)):
        await mill.write(limit)
        with pytest.raises(DatabaseFull) as refusal:
            await attempt()
        assert "grains" not in str(refusal.value)
        await mill.write(adding(4 + len(on_disk(file))))
    assert on_disk(file) == [1, 5, 6]


async def test_a_unit_that_swallows_a_full_disk_does_not_go_on_by_halves(mill: Database, file: Path) -> None:
    async def careless() -> None:
        async with mill.transaction() as session:
            connection = await session.connection()
            pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar()
            await connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
            await connection.run_sync(adding(1))
            with pytest.raises(DatabaseFull):
                await connection.run_sync(adding(2, "x" * 100_000))
            with suppress(Unavailable):
                await connection.run_sync(adding(3))

    neighbour = asyncio.create_task(mill.write(adding(9)))
    with pytest.raises(Unavailable):
        await careless()
    await neighbour
    assert on_disk(file) == [9]


async def test_a_file_that_cannot_be_written_is_reported(file: Path) -> None:
    sqlite3.connect(file).close()
    database = Database(f"sqlite:///file:{file}?mode=ro&uri=true")
    with pytest.raises((DatabaseReadOnly, DatabaseUnreachable)):
        await database.write(adding(1))
    await database.close()


async def test_a_folder_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/no/such/folder.db")
    with pytest.raises(DatabaseUnreachable):
        await database.write(adding(1))
    with pytest.raises(DatabaseUnreachable):
        async with database.transaction():
            pass
    await database.close()


def test_one_event_loop_after_another_may_use_it(file: Path) -> None:
    database = Database(f"sqlite:///{file}")

    async def use(number: int) -> None:
        await database.create_tables(Own.metadata)
        async with database.transaction() as session:
            session.add(Grain(id=number))
        await database.write(adding(number + 10))
        async with database.reading() as session:
            assert await session.get(Grain, number)

    for number in (1, 2, 3):
        asyncio.run(use(number))
    asyncio.run(database.close())
    assert on_disk(file) == [1, 2, 3, 11, 12, 13]


async def test_two_event_loops_at_once_are_refused(mill: Database) -> None:
    await mill.write(adding(1))
    caught: list[BaseException] = []

    def elsewhere() -> None:
        try:
            asyncio.run(mill.write(adding(2)))
        except WrongLoop as error:
            caught.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    await asyncio.to_thread(thread.join)
    assert len(caught) == 1


UNIT = st.tuples(
    st.sampled_from(["plain", "plain fails", "block", "block fails", "block cancelled", "plain cancelled"]),
    st.integers(0, 3),
)


@given(st.lists(UNIT, max_size=40))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_exactly_what_was_acknowledged_is_durable(
    tmp_path_factory: pytest.TempPathFactory, units: list[tuple[str, int]]
) -> None:
    file = tmp_path_factory.mktemp("units") / "own.db"

    async def block(database: Database, number: int, kind: str, naps: int) -> None:
        async with database.transaction() as session:
            session.add(Grain(id=number))
            await session.flush()
            for _ in range(naps):
                await asyncio.sleep(0)
            if kind == "block fails":
                raise ZeroDivisionError

    def fails(connection: Connection) -> None:
        connection.execute(Grain.__table__.insert(), {"id": -1})  # type: ignore[attr-defined]
        raise ZeroDivisionError

    async def run() -> tuple[set[int], set[int]]:
        database = Database(f"sqlite:///{file}")
        await database.create_tables(Own.metadata)
        tasks: dict[int, asyncio.Task[object]] = {}
        for number, (kind, naps) in enumerate(units):
            if kind.startswith("block"):
                tasks[number] = asyncio.create_task(block(database, number, kind, naps))
            else:
                tasks[number] = asyncio.create_task(
                    database.write(fails if kind == "plain fails" else adding(number))
                )
            if kind.endswith("cancelled"):
                for _ in range(naps):
                    await asyncio.sleep(0)
                tasks[number].cancel()
        results = await asyncio.gather(*tasks.values(), return_exceptions=True)
        await asyncio.wait_for(database.write(adding(1000)), 5)
        await database.close()
        good = {n for n, result in zip(tasks, results, strict=True) if not isinstance(result, BaseException)}
        unknown = {
            n for n, result in zip(tasks, results, strict=True) if isinstance(result, asyncio.CancelledError)
        }
        return good, unknown

    good, unknown = asyncio.run(run())
    durable = set(on_disk(file)) - {1000}
    assert good <= durable <= good | unknown


PROGRAM = """
import asyncio, sys
from bartizan.foundation.database import Database
from sqlalchemy import text

insert = text("insert into bz_grains values (:n, '')")

async def main():
    database = Database(sys.argv[1])
    start = int(sys.argv[2])
    async def task(lane):
        for n in range(10_000):
            number = start + lane * 10_000 + n
            if lane % 2:
                await database.write(lambda c: c.execute(insert, {"n": number}))
            else:
                async with database.transaction() as session:
                    await session.execute(insert, {"n": number})
            print(number, flush=True)
    await asyncio.gather(*(task(lane) for lane in range(6)))

asyncio.run(main())
"""


@pytest.mark.feature("AUD-12")
@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
async def test_what_a_killed_process_acknowledged_is_in_the_file(
    mill: Database, file: Path, kills: int
) -> None:
    await mill.close()
    acknowledged: set[int] = set()
    for kill in range(kills):
        arguments = [sys.executable, "-c", PROGRAM, f"sqlite:///{file}", str(kill * 100_000)]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(40 + 17 * kill)]
        os.kill(process.pid, signal.SIGKILL)
        rest = process.stdout.read()
        process.stdout.close()
        process.wait()
        lines += [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]
        acknowledged |= {int(line) for line in lines}
    assert len(acknowledged) > kills * 40
    assert acknowledged <= set(on_disk(file))
    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
