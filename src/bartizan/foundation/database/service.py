"""Transactions on SQLite and PostgreSQL, behind two tenant walls."""

import asyncio
import importlib
import logging
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, MetaData, event, text
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from .errors import BadDatabaseUrl, DatabaseUnreachable, fault_of
from .settings import DatabaseSettings
from .sqlite import Sqlite
from .tables import WALL, Table
from .tenancy import WalledSession
from .tenancy.rls import check, raise_walls, unbound_role, unwalled, wall_statements
from .tenancy.scope import across
from .transactions import Hook, Transactions, faults

if TYPE_CHECKING:
    from .postgres import Postgres

T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the database says of itself, for whoever looks after it."""

    version: str
    now: datetime
    """By the database's clock."""
    file: Path | None
    """Where a SQLite database is."""
    revision: str | None
    newest: str | None
    """The revision that this version comes with."""
    known: bool
    """Whether this version knows the revision that the tables are at."""
    unbound: str | None
    """Why row-level security does not bind the role in use."""
    unwalled: Sequence[str]
    """Tables of organizations that PostgreSQL does not wall."""
    settings: Mapping[str, str]
    """A few settings of the server or the file."""


class Database:
    """Hands out transactions. Calls made inside one join it.

    On SQLite writers take turns, and a turn lasts until the transaction ends: never hash a password,
    call the network or wait for anything else inside one.
    """

    def __init__(
        self,
        url: str = "",
        settings: DatabaseSettings | None = None,
        *,
        production: bool = False,
    ) -> None:
        """Open ``url``, or what the settings name. Nothing is connected before the first use."""
        self.settings = settings or DatabaseSettings()
        self._production = production
        parsed = _parse(url or self.settings.url.get_secret_value())
        self._place: Sqlite | Postgres
        if parsed.get_backend_name() == "sqlite":
            self._place = Sqlite(parsed, self.settings)
        else:
            # asyncpg and its dialect are loaded only where they are used: they cost a fifth of a start.
            module = importlib.import_module("bartizan.foundation.database.postgres")
            self._place = module.Postgres(parsed, self.settings)
        self.kind = parsed.get_backend_name()
        self._transactions = Transactions(self._place.begin, self._session)
        WALL.guard(*self._place.engines)
        for engine in self._place.engines:
            event.listen(engine.sync_engine, "handle_error", _translate)

    @property
    def engine(self) -> AsyncEngine:
        """A plain engine, for tools. On SQLite it takes no turn, but waits as another process would."""
        return self._place.engine

    def __repr__(self) -> str:
        """Name the database without its credentials."""
        url = self._place.url
        return f"Database({url.get_backend_name()}, {url.database!r} at {url.host or 'this machine'})"

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncSession]:
        """Open a transaction that writes, or join the one this task has open.

        The outermost block commits. An error that leaves an inner block dooms the whole transaction,
        even if it is caught further out; see ``savepoint``.
        """
        if opened := self._transactions.mine():
            with self._transactions.join(opened) as session:
                yield session
        else:
            async with self._transactions.begin() as session:
                yield session

    @asynccontextmanager
    async def savepoint(self) -> AsyncGenerator[AsyncSession]:
        """Try something inside the open transaction; an error undoes this block alone."""
        async with self._transactions.savepoint() as session:
            yield session

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncSession]:
        """Open a transaction that only reads, or join the one this task has open.

        It never waits for writers.
        """
        if opened := self._transactions.mine():
            with self._transactions.join(opened) as session:
                yield session
            return
        with faults():
            async with self._session(self._place.readers) as session:
                yield session

    @property
    def in_transaction(self) -> bool:
        """Tell whether this task has a transaction open: what it reads may never be committed."""
        return self._transactions.mine() is not None

    def before_commit(self, hook: Hook) -> None:
        """Run ``hook`` inside this task's open transaction, as its last act. It may add further hooks."""
        self._transactions.need().before.append(hook)

    def after_commit(self, hook: Hook) -> None:
        """Run ``hook`` once this task's open transaction is durable; never if it rolls back.

        An error in it is logged: the commit stands.
        """
        self._transactions.need().after.append(hook)

    async def write(self, unit: Callable[[Connection], T]) -> T:
        """Run a plain function in a commit that it may share with others; return when durable.

        Inside an open transaction of this task it joins that instead. The function must not wait for
        anything, nor commit.
        """
        if opened := self._transactions.mine():
            with self._transactions.join(opened) as session:
                return await (await session.connection()).run_sync(unit)
        with faults():
            return await self._place.write(unit)

    @contextmanager
    def across_organizations(self) -> Generator[None]:
        """Lift the tenant walls for the block: only stores may, and only where the question spans tenants."""
        with across():
            yield
            if opened := self._transactions.mine():
                WALL.pass_on(opened.session.sync_session)

    async def migrate(self, revision: str = "head") -> None:
        """Go to a revision, up or down: ``head`` is the newest, ``base`` none.

        Where several processes start at once, one migrates and the others wait.

        Before the first revision is written, the tables are created as they are declared.
        """
        runner = _migrations()
        if runner.head() is None:
            await self.create_tables()
        elif isinstance(self._place, Sqlite):
            with faults():
                await asyncio.to_thread(runner.move_file, self._place.url, revision, Table.metadata)
        else:
            with faults(), across():
                async with self.engine.begin() as connection:
                    await connection.run_sync(runner.move, revision, Table.metadata)

    async def revision(self) -> str | None:
        """Tell which revision the tables are at; none where there are no tables."""
        found: str | None = await self._look(_migrations().revision)
        return found

    async def drift(self) -> list[str]:
        """Say in what the tables differ from what the code declares; empty if migrations are complete."""
        runner = _migrations()
        runner.import_tables()
        return await self._look(lambda c: runner.drift(c, Table.metadata, WALL.tables(Table.metadata)))

    async def create_tables(self, metadata: MetaData | None = None) -> None:
        """Create what is missing, without migrations: for tests of single rooms."""
        chosen = metadata or Table.metadata

        def create(connection: Connection) -> None:
            chosen.create_all(connection)
            raise_walls(connection, WALL.tables(chosen))

        with across():
            await self.write(create)

    async def check(self) -> None:
        """Refuse a database that lacks a migration or would not keep organizations apart. For start-up."""
        allowed = self.settings.allow_superuser and not self._production

        def look(connection: Connection) -> str | None:
            _migrations().require_head(connection)
            if connection.dialect.name != "postgresql":
                return None
            return check(connection, WALL.tables(Table.metadata), allow_superuser=allowed)

        WALL.warm()
        if warning := await self._look(look):
            _log.warning(warning)

    async def facts(self) -> Facts:
        """Ask the database what it is and how it is set."""
        runner, place = _migrations(), self._place

        def look(connection: Connection) -> Facts:
            said = place.facts(connection)
            revision = runner.revision(connection)
            postgresql = connection.dialect.name == "postgresql"
            return Facts(
                version=said.pop("version"),
                now=datetime.fromisoformat(said.pop("now")),
                file=None if postgresql else Path(str(place.url.database)),
                revision=revision,
                newest=runner.head(),
                known=runner.knows(revision),
                unbound=unbound_role(connection) if postgresql else None,
                unwalled=unwalled(connection, WALL.tables(Table.metadata)) if postgresql else (),
                settings=said,
            )

        return await self._look(look)

    async def raise_walls(self) -> Sequence[str]:
        """Wall the tables of organizations that PostgreSQL does not; give the SQL that was run."""
        tables = WALL.tables(Table.metadata)

        def work(connection: Connection) -> list[str]:
            gaps = unwalled(connection, tables) if connection.dialect.name == "postgresql" else []
            raise_walls(connection, tables)
            return [statement for name in gaps for statement in wall_statements(name)]

        with across():
            return await self.write(work)

    async def ping(self) -> None:
        """Ask the database for a sign of life; raises ``Unavailable`` when it gives none."""
        async with self.reading() as session:
            await session.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Finish the writes under way, then let go of every connection."""
        await self._place.close()

    async def _look(self, look: Callable[[Connection], T]) -> T:
        with across():
            async with self.reading() as session:
                return await (await session.connection()).run_sync(look)

    def _session(self, bind: Any) -> AsyncSession:
        return AsyncSession(bind, expire_on_commit=False, sync_session_class=WalledSession)


def _translate(context: ExceptionContext) -> None:
    """Say it in our words when a statement failed because of the database, not of itself."""
    if context.is_pre_ping:
        return  # the pool replaces the connection and nobody notices
    fault = fault_of(context.original_exception)
    if fault is None and context.is_disconnect:
        fault = DatabaseUnreachable()
    if fault is not None:
        raise fault from context.original_exception


def _migrations() -> ModuleType:
    """Load Alembic, which takes long, when it is needed."""
    return importlib.import_module("bartizan.foundation.database.migrations.runner")


def _parse(url: str) -> URL:
    with suppress(ArgumentError):  # whose text shows the URL, password and all
        parsed = make_url(url)
        if parsed.get_backend_name() in ("sqlite", "postgresql"):
            return parsed
    raise BadDatabaseUrl
