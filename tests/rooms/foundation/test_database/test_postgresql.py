"""PostgreSQL: the pool, lost connections, and the refusals at start-up."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import MetaData, select, text
from sqlalchemy.orm import Mapped, mapped_column

from bartizan.foundation import ids
from bartizan.foundation.context import Caller, current
from bartizan.foundation.database import Database, DatabaseSettings, OrgTable
from bartizan.foundation.database.errors import (
    DatabaseBusy,
    DatabaseUnreachable,
    StatementTooSlow,
    UnsafeDatabase,
)
from bartizan.foundation.database.tables import WALL
from bartizan.foundation.database.tenancy.rls import check
from bartizan.foundation.database.tenancy.scope import across
from bartizan.foundation.errors import Unavailable
from tests.harness.databases import PostgreSQL


class Own(OrgTable):
    __abstract__ = True
    metadata = MetaData()


class Seal(Own):
    __tablename__ = "bz_seals"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


@pytest.fixture
def url(postgresql: PostgreSQL) -> str:
    return postgresql.empty()


@pytest.fixture
async def database(url: str) -> AsyncGenerator[Database]:
    database = Database(url)
    await database.create_tables(Own.metadata)
    yield database
    await database.close()


@pytest.fixture
def superuser_url(postgresql: PostgreSQL, url: str) -> str:
    return postgresql.operators_address_of(url.rpartition("/")[2])


async def kill_all(superuser_url: str) -> None:
    """End every other connection to a database, as an administrator can."""
    operator = await asyncpg.connect(superuser_url)
    await operator.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )
    await operator.close()


@pytest.mark.feature("CORE-08")
async def test_the_pool_is_as_promised_and_can_be_set(url: str) -> None:
    database = Database(url.replace("postgresql+asyncpg:", "postgresql:"))
    pool: Any = database.engine.pool
    assert (pool.size(), pool._max_overflow, pool._pre_ping) == (10, 20, True)
    await database.ping()
    await database.close()
    settings = DatabaseSettings(url=SecretStr(url), pool_size=1, max_overflow=0, pool_timeout=0.1)
    small = Database(settings=settings)
    async with small.transaction() as session:
        await session.execute(text("select 1"))

        async def another() -> None:
            async with small.reading() as reading:
                await reading.execute(text("select 1"))

        with pytest.raises(DatabaseBusy):
            await asyncio.create_task(another())
    await small.ping()
    await small.close()


@pytest.mark.feature("CORE-08")
async def test_nothing_logged_or_raised_shows_the_password(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    database = Database("postgresql://ann:s3cret@127.0.0.1:9/app")
    for attempt in (database.ping(), database.write(lambda c: c.execute(text("select 1")))):
        with pytest.raises(DatabaseUnreachable) as refusal:
            await attempt
        assert "s3cret" not in str(refusal.value) + repr(refusal.value.__cause__)
    assert "s3cret" not in caplog.text
    await database.close()


async def test_a_connection_lost_in_the_middle_is_reported_and_replaced(
    database: Database, superuser_url: str
) -> None:
    with current.as_system(ids.new("org")):
        with pytest.raises(Unavailable):  # noqa: PT012
            async with database.transaction() as session:
                session.add(Seal(id=1))
                await session.flush()
                await kill_all(superuser_url)
                await session.execute(select(Seal))
        with pytest.raises(Unavailable):  # noqa: PT012
            async with database.transaction() as session:
                session.add(Seal(id=2))
                await session.flush()
                await kill_all(superuser_url)
        async with database.transaction() as session:
            session.add(Seal(id=3))
        async with database.reading() as session:
            assert (await session.scalars(select(Seal.id))).all() == [3]


async def test_a_connection_lost_before_a_plain_function_is_replaced(
    database: Database, superuser_url: str
) -> None:
    await database.write(lambda c: c.execute(text("select 1")))
    await kill_all(superuser_url)
    assert await database.write(lambda c: c.execute(text("select 7")).scalar()) == 7


async def test_a_statement_that_takes_too_long_is_stopped(url: str) -> None:
    database = Database(url, DatabaseSettings(statement_timeout=0.1))
    with pytest.raises(StatementTooSlow):
        async with database.reading() as session:
            await session.execute(text("select pg_sleep(5)"))
    await database.close()


@pytest.mark.feature("TEN-07")
async def test_the_server_is_told_the_organization_with_begin(database: Database) -> None:
    asked = text("select current_setting('bartizan.org_id', true)")
    org_id = ids.new("org")
    for caller, told in (
        (Caller(id="usr_1", kind="user", org_id=org_id), org_id),
        (Caller(id="system", kind="system"), "*"),
        (Caller(id="usr_1", kind="user", org_id="x'; drop table bz_seals; --"), ""),
        (None, ""),
    ):
        with current.acting_as(caller):
            async with database.transaction() as session:
                assert await session.scalar(asked) == told
            assert await database.write(lambda c: c.execute(asked).scalar()) == told


@pytest.mark.feature("TEN-07")
async def test_start_up_refuses_roles_and_tables_without_the_second_wall(
    url: str, superuser_url: str
) -> None:
    def look(connection: Any, *, allowed: bool = False) -> str | None:
        return check(connection, WALL.tables(Own.metadata), allow_superuser=allowed)

    database = Database(url)
    await database.create_tables(Own.metadata)
    with across():
        async with database.engine.begin() as connection:
            assert await connection.run_sync(look) is None
            await connection.execute(text("alter table bz_seals no force row level security"))
            with pytest.raises(UnsafeDatabase, match="bz_seals"):
                await connection.run_sync(look)
            await connection.execute(text("alter table bz_seals force row level security"))
            await connection.execute(text("create policy open on bz_seals using (true)"))
            with pytest.raises(UnsafeDatabase, match="bz_seals"):
                await connection.run_sync(look)
    await database.close()
    operator = Database(superuser_url)
    with across():
        async with operator.engine.begin() as connection:
            await connection.execute(text("drop policy open on bz_seals"))
            with pytest.raises(UnsafeDatabase, match=r"superuser.*NOSUPERUSER"):
                await connection.run_sync(look)
            assert "development" in (await connection.run_sync(lambda c: look(c, allowed=True)) or "")
    await operator.close()


async def test_a_superuser_is_let_in_only_where_allowed_and_never_in_production(
    url: str, superuser_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    allowed = DatabaseSettings(allow_superuser=True)
    ours = Database(url)
    await ours.migrate()
    await ours.check()
    await ours.close()
    for production, settings in ((True, allowed), (False, DatabaseSettings())):
        database = Database(superuser_url, settings, production=production)
        with pytest.raises(UnsafeDatabase):
            await database.check()
        await database.close()
    database = Database(superuser_url, allowed)
    await database.check()
    assert "For development only" in caplog.text
    await database.close()
