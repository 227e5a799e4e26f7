"""Each of the two walls holds with the other one taken away."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from bartizan.foundation.database.tenancy.scope import across
from tests.attacks.walls.arena import acting_for, leaks, seeded
from tests.attacks.walls.models import HELD, A
from tests.harness.databases import PostgreSQL


@pytest.fixture
def url(postgresql: PostgreSQL) -> str:
    return postgresql.empty()


@pytest.mark.feature("TEN-07")
async def test_the_first_wall_holds_without_the_second(url: str) -> None:
    async with seeded(url, policies=False) as database:
        with acting_for(A):
            assert await leaks(database.transaction, set()) == []


@asynccontextmanager
async def bare(url: str) -> AsyncGenerator[Callable[[], Any]]:
    """Sessions of a plain engine, with the first wall lifted; only the server is told who asks."""
    engine = create_async_engine(url)

    @asynccontextmanager
    async def open_() -> AsyncGenerator[AsyncSession]:
        with across():
            async with AsyncSession(engine, expire_on_commit=False) as session:
                await session.execute(text("select set_config('bartizan.org_id', :org, true)"), {"org": A})
                yield session

    yield open_
    await engine.dispose()


@pytest.mark.feature("TEN-07")
async def test_the_second_wall_holds_without_the_first(url: str) -> None:
    async with seeded(url), bare(url) as open_:
        assert await leaks(open_, HELD) == []


@pytest.mark.feature("TEN-07")
async def test_without_both_walls_most_ways_lead_through(url: str) -> None:
    async with seeded(url, policies=False), bare(url) as open_:
        assert len(await leaks(open_, set())) > 50
