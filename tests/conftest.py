"""What every test gets: a real database of its own, on SQLite and on PostgreSQL."""

import os
from collections.abc import AsyncGenerator
from pathlib import Path

import asyncpg
import pytest

from bartizan.foundation.clock import ManualClock
from bartizan.foundation.database import Database

SERVER = os.environ.get("BARTIZAN_TEST_POSTGRESQL", "postgresql://bartizan@127.0.0.1:5544/postgres")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["sqlite", "postgresql"])
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/bartizan.db"
    name = f"t_{os.getpid()}"
    connection = await asyncpg.connect(SERVER)
    await connection.execute(f"drop database if exists {name} with (force)")
    await connection.execute(f"create database {name}")
    await connection.close()
    return SERVER.replace("postgresql://", "postgresql+asyncpg://").rsplit("/", 1)[0] + f"/{name}"


@pytest.fixture
async def database(database_url: str) -> AsyncGenerator[Database]:
    database = Database(database_url)
    await database.migrate()
    yield database
    await database.close()
