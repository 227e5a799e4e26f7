"""Dozens of ways to reach another organization's rows; each is scoped or refused, on both databases.

It needs nothing but pytest and the database room, so it runs under each SQLAlchemy line that we support.
"""

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm.exc import StaleDataError

from bartizan.foundation import errors
from bartizan.foundation.context import Caller, NobodyAsks, NoOrganization, current
from bartizan.foundation.database import Database
from bartizan.foundation.database.errors import OutsideOrganization
from bartizan.foundation.database.tenancy.scope import across
from tests.attacks.walls import below, reading, writing
from tests.attacks.walls.models import HELD, MATRIX, A, B, Doc, Proj, Tag, Walled, links

SERVER = os.environ.get("BARTIZAN_TEST_POSTGRESQL", "postgresql://bartizan@127.0.0.1:5544/postgres")
REFUSALS = (
    errors.Refusal,
    OutsideOrganization,
    IntegrityError,
    InvalidRequestError,
    DBAPIError,
    StaleDataError,
)


@asynccontextmanager
async def seeded(url: str, *, policies: bool = True) -> AsyncGenerator[Database]:
    database = Database(url)
    try:
        with current.as_system():
            await database.create_tables(Walled.metadata)
            if not policies:
                await database.write(without_policies)
            async with database.transaction() as session:
                for number, (org_id, letter) in enumerate(((A, "A"), (B, "B"))):
                    session.add(Proj(id=number + 1, name=f"p{letter}", org_id=org_id))
                    session.add(Tag(id=number + 1, name=f"t{letter}", org_id=org_id))
                    await session.flush()
                    for n in range(3):
                        row = Doc(
                            id=number * 10 + n + 1, title=f"{letter}{n}", org_id=org_id, proj_id=number + 1
                        )
                        session.add(row)
                session.add(Doc(id=99, title="B-evil-in-A-project", org_id=B, proj_id=1))
                await session.flush()
                await session.execute(
                    links.insert(),
                    [{"org_id": A, "doc_id": 1, "tag_id": 1}, {"org_id": B, "doc_id": 11, "tag_id": 2}],
                )
        yield database
    finally:
        await database.close()


def without_policies(connection: Connection) -> None:
    for table in Walled.metadata.tables:
        connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")


class _Undo(Exception):
    pass


async def leaks(open_: Callable[[], Any], skip: set[str]) -> list[str]:
    """Try every way as organization A; name those that got through or broke in an unforeseen manner."""
    found = []
    for name, operation in MATRIX.items():
        if name in skip:
            continue
        try:
            async with open_() as session:
                if await session.run_sync(operation):
                    found.append(name)
                raise _Undo  # noqa: TRY301 - nothing is kept
        except (_Undo, *REFUSALS):
            pass
    return found


def acting_for(org_id: str | None) -> Any:
    return current.acting_as(Caller(id="usr_x", kind="user", org_id=org_id))


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/walls.db"
        return
    async with scratch_database() as made:
        yield made


@pytest.fixture
async def postgresql() -> AsyncGenerator[str]:
    async with scratch_database() as made:
        yield made


@asynccontextmanager
async def scratch_database() -> AsyncGenerator[str]:
    name = f"walls_{os.getpid()}"
    connection = await asyncpg.connect(SERVER)
    try:
        await connection.execute(f"drop database if exists {name} with (force)")
        await connection.execute(f"create database {name}")
        yield SERVER.rsplit("/", 1)[0] + f"/{name}"
        await connection.execute(f"drop database if exists {name} with (force)")
    finally:
        await connection.close()


@pytest.mark.feature("TEN-07")
async def test_no_way_reaches_another_organization(url: str) -> None:
    assert len(MATRIX) >= 67, (reading, writing, below)
    async with seeded(url) as database:
        with acting_for(A):
            assert await leaks(database.transaction, set()) == []


@pytest.mark.feature("TEN-07")
async def test_the_first_wall_holds_without_the_second(postgresql: str) -> None:
    async with seeded(postgresql, policies=False) as database:
        with acting_for(A):
            assert await leaks(database.transaction, set()) == []


@asynccontextmanager
async def bare(url: str) -> AsyncGenerator[Callable[[], Any]]:
    """Sessions of a plain engine, with the first wall lifted; only the server is told who asks."""
    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"))

    @asynccontextmanager
    async def open_() -> AsyncGenerator[AsyncSession]:
        with across():
            async with AsyncSession(engine, expire_on_commit=False) as session:
                await session.execute(text("select set_config('bartizan.org_id', :org, true)"), {"org": A})
                yield session

    yield open_
    await engine.dispose()


@pytest.mark.feature("TEN-07")
async def test_the_second_wall_holds_without_the_first(postgresql: str) -> None:
    async with seeded(postgresql), bare(postgresql) as open_:
        assert await leaks(open_, HELD) == []


@pytest.mark.feature("TEN-07")
async def test_without_both_walls_most_ways_lead_through(postgresql: str) -> None:
    async with seeded(postgresql, policies=False), bare(postgresql) as open_:
        assert len(await leaks(open_, set())) > 50


@pytest.mark.feature("TEN-07")
@pytest.mark.parametrize("name", ["select(Doc)", "text()", "Core insert is stamped", "update()"])
async def test_without_an_organization_everything_is_refused(url: str, name: str) -> None:
    async with seeded(url) as database:
        for caller, refusal in ((None, NobodyAsks), (Caller(id="usr_x", kind="user"), NoOrganization)):
            with current.acting_as(caller), pytest.raises(refusal):
                async with database.transaction() as session:
                    await session.run_sync(MATRIX[name])


async def test_the_system_and_stores_see_across(url: str) -> None:
    async with seeded(url) as database:
        with current.as_system():
            async with database.reading() as session:
                assert await session.scalar(select(func.count(Doc.id))) == 7
        with acting_for(A):
            async with database.reading() as session:
                assert await session.scalar(select(func.count(Doc.id))) == 3
                with database.across_organizations():
                    assert await session.scalar(select(func.count(Doc.id))) == 7
                assert await session.scalar(select(func.count(Doc.id))) == 3


async def test_what_a_block_across_changed_may_be_flushed_after_it(url: str) -> None:
    async with seeded(url) as database:
        with acting_for(A):
            async with database.transaction() as session:
                with database.across_organizations():
                    (await session.get_one(Doc, 11)).title = "by the platform"
                (await session.get_one(Doc, 1)).title = "by us"
        with current.as_system():
            async with database.reading() as session:
                titles = await session.scalars(select(Doc.title).where(Doc.id.in_([1, 11])).order_by(Doc.id))
                assert titles.all() == ["by us", "by the platform"]


async def test_ordinary_work_of_the_unit_of_work_passes(url: str) -> None:
    async with seeded(url) as database:
        with acting_for(A):
            async with database.transaction() as session:
                proj = await session.get_one(Proj, 1)
                session.add(Doc(id=70, title="new", proj=proj, tags=[await session.get_one(Tag, 1)]))
                await session.flush()
                doc = await session.get_one(Doc, 1)
                doc.title = "changed"
                await session.delete(await session.get_one(Doc, 3))
                (await session.run_sync(lambda _: doc.tags)).clear()
            async with database.reading() as session:
                found = await session.scalars(select(Doc.title).order_by(Doc.id))
                assert found.all() == ["changed", "A1", "new"]
                assert (
                    await session.execute(select(links.c.doc_id).where(links.c.org_id == A))
                ).scalars().all() == [70]


async def test_the_setting_follows_through_savepoints(url: str) -> None:
    async with seeded(url) as database:
        with acting_for(A):
            async with database.transaction() as session:
                with pytest.raises(_Undo):  # noqa: PT012
                    async with database.savepoint():
                        with current.in_organization(B):
                            assert await session.scalar(select(func.count(Doc.id))) == 4
                            raise _Undo
                assert await session.scalar(select(func.count(Doc.id))) == 3
