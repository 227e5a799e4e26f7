"""Migrations: up, down, several processes at once, and drift."""

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Mapped, mapped_column

from bartizan.foundation.database import Database, OrgTable, Table
from bartizan.foundation.database.errors import DatabaseDamaged, MigrationsPending
from bartizan.foundation.database.migrations import generate, runner
from bartizan.foundation.database.tables import WALL
from bartizan.foundation.database.tenancy.rls import unwalled
from bartizan.foundation.database.tenancy.scope import across

T = TypeVar("T")


class Own(OrgTable):
    __abstract__ = True
    metadata = MetaData(naming_convention=Table.metadata.naming_convention)


class Well(Own):
    __tablename__ = "bz_wells"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    depth: Mapped[int | None]


SECOND = """
from alembic import op
import sqlalchemy as sa

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("bz_wells") as table:
        table.add_column(sa.Column("water", sa.String(8), server_default="clear", nullable=False))
        table.alter_column("depth", new_column_name="metres")


def downgrade() -> None:
    with op.batch_alter_table("bz_wells") as table:
        table.alter_column("metres", new_column_name="depth")
        table.drop_column("water")
"""
ORPHANS = """
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("create table bz_buckets (id integer, well_id integer references bz_wells (id))")
    op.execute("insert into bz_buckets values (1, 99)")
"""


class Ground:
    """A database and a set of revisions of its own."""

    def __init__(self, url: str, home: Path) -> None:
        self.database = Database(url)
        self.home = home

    async def move(self, target: str) -> None:
        if self.database.kind == "sqlite":
            url = make_url(f"sqlite:///{self.database.engine.url.database}")
            await asyncio.to_thread(runner.move_file, url, target, Own.metadata, self.home)
        else:
            await self.ask(lambda connection: runner.move(connection, target, Own.metadata, self.home))

    async def ask(self, question: Callable[[Connection], T]) -> T:
        with across():
            async with self.database.engine.begin() as connection:
                return await connection.run_sync(question)

    async def do(self, statement: str) -> None:
        with across():
            async with self.database.engine.begin() as connection:
                await connection.execute(text(statement))

    async def columns(self) -> list[str]:
        return await self.ask(lambda c: list(c.execute(text("select * from bz_wells")).keys()))


@pytest.fixture
async def ground(empty_database_url: str, tmp_path: Path) -> AsyncGenerator[Ground]:
    home = tmp_path / "home"
    (home / "versions").mkdir(parents=True)
    shutil.copy(runner.HOME / "env.py", home)
    (home / "versions" / "v0001_initial.py").write_text(generate.render(Own.metadata))
    ground = Ground(empty_database_url, home)
    yield ground
    await ground.database.close()


def where(connection: Connection) -> str | None:
    return runner.revision(connection)


def gaps(connection: Connection) -> list[str]:
    return unwalled(connection, WALL.tables(Own.metadata)) if connection.dialect.name == "postgresql" else []


@pytest.mark.feature("CORE-18")
async def test_tables_are_created_upgraded_and_downgraded_without_loss(ground: Ground) -> None:
    assert await ground.ask(where) is None
    await ground.move("head")
    assert await ground.ask(where) == "0001"
    assert await ground.ask(gaps) == []
    await ground.do("insert into bz_wells values (1, 12, 'org_a')")
    (ground.home / "versions" / "v0002_water.py").write_text(SECOND)
    await ground.move("head")
    assert await ground.columns() == ["id", "metres", "org_id", "water"]
    await ground.move("0001")
    assert await ground.columns() == ["id", "depth", "org_id"]
    assert await ground.ask(lambda c: c.execute(text("select depth from bz_wells")).scalar()) == 12
    assert await ground.ask(gaps) == []
    await ground.move("base")
    assert await ground.ask(where) is None
    await ground.move("head")
    assert await ground.ask(where) == "0002"


@pytest.mark.feature("CORE-18")
async def test_a_host_s_tables_are_left_alone(ground: Ground) -> None:
    await ground.do("create table invoices (id integer)")
    await ground.move("head")
    assert await ground.ask(lambda c: runner.drift(c, Own.metadata, WALL.tables(Own.metadata))) == []
    await ground.move("base")
    assert await ground.ask(lambda c: c.execute(text("select count(*) from invoices")).scalar()) == 0


async def test_nothing_to_do_takes_milliseconds(ground: Ground) -> None:
    await ground.move("head")
    began = time.perf_counter()
    await ground.move("head")
    assert time.perf_counter() - began < 0.5


async def test_drift_names_what_is_missing(ground: Ground) -> None:
    await ground.move("head")
    assert await ground.ask(lambda c: runner.drift(c, Own.metadata, WALL.tables(Own.metadata))) == []
    await ground.do("alter table bz_wells add column extra integer")
    if ground.database.kind == "postgresql":
        await ground.do("alter table bz_wells no force row level security")
    found = await ground.ask(lambda c: runner.drift(c, Own.metadata, WALL.tables(Own.metadata)))
    assert "extra" in found[0]
    assert found[1:] == (["bz_wells is not walled"] if ground.database.kind == "postgresql" else [])


async def test_start_up_refuses_tables_that_wait_for_a_migration(ground: Ground) -> None:
    with pytest.raises(MigrationsPending, match="bartizan migrate"):
        await ground.ask(lambda c: runner.require_head(c, ground.home))
    await ground.move("head")
    await ground.ask(lambda c: runner.require_head(c, ground.home))


async def test_a_migration_that_leaves_orphans_is_undone(ground: Ground) -> None:
    await ground.move("head")
    (ground.home / "versions" / "v0002_orphans.py").write_text(ORPHANS)
    with pytest.raises(Exception, match=r"refer|foreign key|violates") as refusal:
        await ground.move("head")
    if ground.database.kind == "sqlite":
        assert isinstance(refusal.value, DatabaseDamaged)
    assert await ground.ask(where) == "0001"


PROGRAM = """
import asyncio, sys
from pathlib import Path
from sqlalchemy import MetaData
from sqlalchemy.engine import make_url
from bartizan.foundation.database import Database
from bartizan.foundation.database.migrations import runner
from bartizan.foundation.database.tenancy.scope import across

async def main(url, home):
    if url.startswith("sqlite"):
        runner.move_file(make_url(url), "head", MetaData(), Path(home))
    else:
        database = Database(url)
        with across():
            async with database.engine.begin() as connection:
                await connection.run_sync(runner.move, "head", MetaData(), Path(home))
        await database.close()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.feature("CORE-18")
async def test_processes_that_start_together_migrate_once(ground: Ground, empty_database_url: str) -> None:
    def start() -> subprocess.Popen[Any]:
        return subprocess.Popen([sys.executable, "-c", PROGRAM, empty_database_url, str(ground.home)])

    started = [start() for _ in range(3)]
    assert [await asyncio.to_thread(process.wait, 60) for process in started] == [0, 0, 0]
    assert await ground.ask(where) == "0001"


@pytest.mark.feature("CORE-18")
async def test_the_packaged_migrations_make_exactly_the_declared_tables(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    await database.migrate()
    await database.check()
    runner.import_tables()
    if runner.head() is not None:
        assert await database.revision() == runner.head()
        assert await database.drift() == []
        await database.migrate("base")
        assert await database.revision() is None
    await database.close()
