"""A shop behind the step, on each database."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from bartizan.doors.frameworks import Wrapped
from bartizan.doors.testing import Cast, Person, program
from bartizan.foundation.context import current
from bartizan.foundation.database import Database

from .shop import Shop, behind


@pytest.fixture
async def shop() -> Shop:
    return Shop()


@pytest.fixture
async def app(bartizan_settings: dict[str, Any], shop: Shop) -> AsyncGenerator[Wrapped]:
    app = behind(shop, {**bartizan_settings, "idempotency": {"max_answer": 1000, "max_keys": 10}})
    await app.bz.start(embedded=False)
    yield app
    await app.bz.stop()


@pytest.fixture
async def ada(app: Wrapped) -> Person:
    cast = Cast(app.bz)
    return await cast.person(await cast.organization(), "admin", "ada")


@pytest.fixture
async def http(app: Wrapped, ada: Person) -> AsyncGenerator[httpx.AsyncClient]:
    async with program(app, ada) as http:
        yield http


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something that another task does."""
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def keyed(key: str, **headers: str) -> dict[str, str]:
    return {"idempotency-key": key, **headers}


async def look(database: Database, sql: str) -> list[tuple[Any, ...]]:
    """Read what is in the table, of everybody."""
    with current.as_system():
        async with database.reading() as session:
            return [tuple(row) for row in await session.execute(text(sql))]
