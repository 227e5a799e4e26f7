"""Writing down: by itself, through failures, and at the end."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from bartizan.backbone.events import Events
from bartizan.backbone.usage import Usage, UsageSettings
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import current
from bartizan.foundation.database import Database, DatabaseSettings
from bartizan.foundation.errors import Unavailable
from tests.harness.databases import PostgreSQL

from .conftest import ACME, ADA, ADMIN, NOON, Make


def add(usage: Usage, times: int = 1) -> None:
    for _ in range(times):
        usage.add(ACME, ADA, "GET", "/", 200, 0.01)


async def until_written(usage: Usage) -> None:
    async with asyncio.timeout(60):
        while usage.pending:  # noqa: ASYNC110 - it writes when it likes
            await asyncio.sleep(0.01)


@pytest.mark.feature("RATE-04")
async def test_it_writes_by_itself(make: Make) -> None:
    usage = make(flush_seconds=0.05)
    await usage.start()
    for _ in range(2):
        add(usage, 3)
        await until_written(usage)
    with current.acting_as(ADMIN):
        assert (await usage.summary()).requests == 6
    await usage.stop()


@pytest.mark.feature("RATE-04")
async def test_a_clean_stop_loses_nothing(make: Make) -> None:
    usage = make()
    await usage.start()
    add(usage, 3)
    await usage.stop()
    add(usage, 2)
    await usage.stop()
    with current.acting_as(ADMIN):
        assert (await usage.summary()).requests == 5


async def test_it_can_be_started_again(make: Make) -> None:
    usage = make(flush_seconds=0.05)
    for _ in range(2):
        await usage.start()
        add(usage)
        await until_written(usage)
        await usage.stop()
    with current.acting_as(ADMIN):
        assert (await usage.summary()).requests == 2


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_database_that_is_held_is_waited_for(database_url: str, clock: ManualClock) -> None:
    database = Database(database_url, DatabaseSettings(busy_timeout=0, pool_timeout=1))
    usage = Usage(database, Events(database, clock=clock), UsageSettings(flush_seconds=0.02), clock=clock)
    with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("begin immediate")
        add(usage, 3)
        with pytest.raises(Unavailable):
            await usage.flush()
        assert usage.pending == 3
        await usage.start()
        add(usage, 2)
        with pytest.raises(Unavailable):
            await usage.flush()
        assert usage.pending == 5
        other.execute("rollback")
    await until_written(usage)
    await usage.stop()
    with current.acting_as(ADMIN):
        assert (await usage.summary()).requests == 5
    await database.close()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_database_that_goes_away_is_waited_for(
    database_url: str, postgresql: PostgreSQL, make: Make
) -> None:
    usage = make(flush_seconds=0.05)
    name = database_url.rpartition("/")[2]
    add(usage, 3)
    await usage.flush()
    await asyncio.to_thread(postgresql.turn_away, name)
    try:
        add(usage, 3)
        with pytest.raises(Unavailable):
            await usage.flush()
        await usage.start()
        add(usage, 3)
    finally:
        await asyncio.to_thread(postgresql.welcome, name)
    await until_written(usage)
    await usage.stop()
    with current.acting_as(ADMIN):
        assert (await usage.summary()).requests == 9


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_stopping_without_a_database_ends_and_says_what_is_lost(
    database_url: str, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(database_url, DatabaseSettings(busy_timeout=0, pool_timeout=1))
    usage = Usage(database, Events(database, clock=clock), UsageSettings(flush_seconds=0.02), clock=clock)
    await usage.start()
    with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("begin immediate")
        add(usage, 3)
        await usage.stop()
        other.execute("rollback")
    assert "before the end" in caplog.text
    await database.close()


async def test_tables_that_are_not_there_are_waited_for(
    empty_database_url: str, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(empty_database_url)
    usage = Usage(database, Events(database, clock=clock), UsageSettings(flush_seconds=0.02), clock=clock)
    await usage.start()
    add(usage, 3)
    async with asyncio.timeout(60):
        while "could not be written" not in caplog.text:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await database.create_tables()
    await until_written(usage)
    await usage.stop()
    await database.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_after_a_day_without_a_database_the_oldest_hours_are_given_up(
    database_url: str, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(database_url, DatabaseSettings(busy_timeout=0, pool_timeout=1))
    usage = Usage(database, Events(database, clock=clock), clock=clock)
    for _ in range(30):
        add(usage)
        clock.advance(3600)
    assert usage.pending == 25
    assert caplog.text.count("is given up") == 5
    await usage.flush()
    with current.acting_as(ADMIN):
        assert (await usage.summary(since=NOON)).requests == 25
    await database.close()
