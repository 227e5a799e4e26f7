"""A migrated database for every test: a copied file on SQLite, a cleaned database on PostgreSQL."""

import asyncio
import fcntl
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Coroutine, Generator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from bartizan.foundation.clock import ManualClock
from bartizan.foundation.database import Database

from . import server

T = TypeVar("T")
RUN = "BARTIZAN_TEST_RUN"
NAMED = "BARTIZAN_TEST_POSTGRESQL"

SHAPE = """
select md5(string_agg(fact, ';' order by fact)) from (
    select concat_ws(',', relname, relkind, relrowsecurity, relforcerowsecurity, relnatts) as fact
    from pg_class where relnamespace = 'public'::regnamespace
    union all select concat_ws(',', tgname, tgenabled) from pg_trigger where not tgisinternal
    union all select concat_ws(',', polname, polcmd) from pg_policy
    union all select nspname from pg_namespace where nspname !~ '^pg_(toast_)?temp_'
) as facts
"""
LEAVE = (
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()"
)
TABLES = """
select format('delete from %I', tablename) from pg_tables
where schemaname = 'public' and tablename not like '%alembic%' and tablename not like 'bz_migration%'
"""


def pytest_configure(config: pytest.Config) -> None:
    """Name the run, for its workers to share one server."""
    if not hasattr(config, "workerinput"):
        os.environ[RUN] = str(os.getpid())


class PostgreSQL:
    """One worker's database, cleaned before each test; a changed one is made anew from its template."""

    def __init__(self, address: str, worker: str) -> None:
        self._address = address
        self._runner = asyncio.Runner()
        self._template = f"bartizan_{worker}_template"
        self._name = f"bartizan_{worker}"
        self._role, self._password = f"bartizan_{worker}", secrets.token_hex(16)
        self._shape = ""
        self._clean = ""
        self._operator = self._do(asyncpg.connect(address))
        if not self._do(
            self._operator.fetchval("select rolsuper from pg_roles where rolname = current_user")
        ):
            self._do(self._operator.close())
            message = f"{NAMED} has to name a superuser: the tests make roles and databases of their own."
            raise RuntimeError(message)
        self._inside: asyncpg.Connection | None = None

    def migrated(self) -> str:
        """Give the address of a database with all tables and no rows."""
        if not self._shape:
            self._start()
        elif not self._wipe():
            self._recreate()
        return self.address_of(self._name)

    def empty(self) -> str:
        """Give the address of a new database without any table."""
        if not self._shape:
            self._start()
        name = f"{self._name}_empty"
        self._drop(name)
        self._say(f"create database {name} owner {self._role}")
        return self.address_of(name)

    def address_of(self, name: str) -> str:
        """Write the address of a database as the tests' ordinary role reaches it."""
        parts = urlsplit(self._address)
        host = parts.netloc.rpartition("@")[2]
        return f"postgresql+asyncpg://{self._role}:{self._password}@{host}/{name}"

    def operators_address_of(self, name: str) -> str:
        """Write the address of a database as the server's superuser reaches it."""
        return urlunsplit(urlsplit(self._address)._replace(path=f"/{name}"))

    def cut(self, name: str) -> None:
        """Break every connection to a database of ours, whatever it is doing."""
        if self._inside:
            self._do(self._inside.close())
            self._inside = None
        self._do(self._operator.execute(LEAVE, name))

    def turn_away(self, name: str) -> None:
        """Break every connection to a database, and let nobody in."""
        self._say(f"alter database {name} allow_connections false")
        self.cut(name)

    def welcome(self, name: str) -> None:
        """Let everybody in again."""
        self._say(f"alter database {name} allow_connections true")

    def close(self) -> None:
        """Leave the server as it was found."""
        if self._inside:
            self._do(self._inside.close())
        for name in (self._name, self._template, f"{self._name}_empty"):
            self._drop(name)
        self._say(f"drop role if exists {self._role}")
        self._do(self._operator.close())
        self._runner.close()

    def _start(self) -> None:
        for name in (self._name, self._template):
            self._drop(name)
        self._say(f"drop database if exists {self._name}_empty with (force)")
        self._say(f"drop role if exists {self._role}")
        # Ordinary on purpose: row-level security binds neither a superuser nor a role with BYPASSRLS.
        self._say(f"create role {self._role} login nosuperuser nobypassrls password '{self._password}'")
        self._say(f"create database {self._template} owner {self._role}")
        self._do(migrate(self.address_of(self._template)))
        self._recreate()
        self._shape = self._ask(SHAPE)
        tables = self._do(self._connection().fetch(TABLES))
        self._clean = ";".join(["set session_replication_role = replica", *(row[0] for row in tables)])

    def _recreate(self) -> None:
        if self._inside:
            self._do(self._inside.close())
            self._inside = None
        self._drop(self._name)
        self._say(f"create database {self._name} owner {self._role} template {self._template}")

    def _wipe(self) -> bool:
        self._do(
            self._operator.execute(LEAVE.replace("<> pg_backend_pid()", f"<> {self._own()}"), self._name)
        )
        if self._ask(SHAPE) != self._shape:
            return False
        if self._clean:
            self._do(self._connection().execute(self._clean))
        return True

    def _own(self) -> int:
        return self._connection().get_server_pid()

    def _connection(self) -> asyncpg.Connection:
        if self._inside is None:
            parts = urlsplit(self._address)
            self._inside = self._do(asyncpg.connect(urlunsplit(parts._replace(path=f"/{self._name}"))))
        return self._inside

    def _ask(self, query: str) -> str:
        return str(self._do(self._connection().fetchval(query)))

    def _drop(self, name: str) -> None:
        self._say(f"drop database if exists {name} with (force)")

    def _say(self, statement: str) -> None:
        self._do(self._operator.execute(statement))

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)


async def migrate(address: str) -> None:
    """Make all tables."""
    database = Database(address)
    try:
        await database.migrate()
    finally:
        await database.close()


def running(folder: Path) -> str:
    """Give the server that the environment names, else start one for this run, once for all its workers."""
    if named := os.environ.get(NAMED):
        return named
    run = os.environ[RUN]
    announcement = folder / f"postgresql-{run}"
    with (folder / f"postgresql-{run}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not announcement.exists():
            subprocess.run(
                [sys.executable, server.__file__, run, str(announcement)],
                check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            deadline = time.monotonic() + 60
            while not announcement.exists() and time.monotonic() < deadline:
                time.sleep(0.02)
    said = announcement.read_text() if announcement.exists() else "it did not start in time."
    if not said.startswith("postgresql://"):
        message = f"No PostgreSQL for the tests: {said}\nName one of your own in {NAMED}."
        raise RuntimeError(message)
    return said


@pytest.fixture
def clock() -> ManualClock:
    """Give time that moves when told to."""
    return ManualClock()


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Generator[PostgreSQL]:
    """Give this worker's place on the PostgreSQL server."""
    folder = tmp_path_factory.getbasetemp()
    address = running(folder.parent if worker_id != "master" else folder)
    postgresql = PostgreSQL(address, f"{os.environ[RUN]}_{worker_id}")
    yield postgresql
    postgresql.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a file with all tables in it, to copy."""
    file = tmp_path_factory.mktemp("template") / "bartizan.db"
    asyncio.run(migrate(f"sqlite:///{file}"))
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the address of a database with all tables and no rows, of each kind in turn."""
    if request.param == "postgresql":
        place: PostgreSQL = request.getfixturevalue("postgresql")
        return place.migrated()
    template: Path = request.getfixturevalue("sqlite_template")
    shutil.copyfile(template, tmp_path / "bartizan.db")
    return f"sqlite:///{tmp_path}/bartizan.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the address of a database without tables, of each kind in turn."""
    if request.param == "postgresql":
        place: PostgreSQL = request.getfixturevalue("postgresql")
        return place.empty()
    return f"sqlite:///{tmp_path}/empty.db"


@pytest.fixture
async def database(database_url: str) -> AsyncGenerator[Database]:
    """Give a database that is ready for use, and closed afterwards."""
    database = Database(database_url)
    yield database
    await database.close()
