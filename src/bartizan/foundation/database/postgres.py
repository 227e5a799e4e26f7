"""PostgreSQL through asyncpg, with the organization told to the server at each BEGIN.

The second tenant wall (row-level security) reads the setting ``bartizan.org_id``. It travels in one
message with BEGIN, so it costs no round trip, and lasts exactly as long as the transaction.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import Connection, event
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

from .errors import DatabaseUnreachable, fault_of
from .settings import DatabaseSettings
from .tenancy.scope import setting

T = TypeVar("T")
_log = logging.getLogger(__name__)
_UNITS = 64


class ScopedConnection(asyncpg.Connection):
    """A connection that knows which organization the server was told."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.told: str | None = None

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:  # noqa: ASYNC109
        """Run a statement; a BEGIN takes the organization along in the same message."""
        if query.startswith("BEGIN"):
            self.told = setting()
            query = f"{query.rstrip(';')}; SET LOCAL bartizan.org_id = '{self.told}'"
        return str(await super().execute(query, *args, timeout=timeout))


class PostgresUnit:
    """One transaction of its own."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.bind = engine

    async def commit(self, session: AsyncSession) -> bool:
        """Commit. A cancelled commit is cancelled: whether it took place, only the server knows."""
        await session.commit()
        await session.close()
        return False

    async def abandon(self, session: AsyncSession) -> None:
        """Roll back."""
        await session.close()


class Postgres:
    """A PostgreSQL database."""

    def __init__(self, url: URL, settings: DatabaseSettings) -> None:
        self.url = url.set(drivername="postgresql+asyncpg")
        pool: dict[str, Any] = {
            "pool_size": settings.pool_size,
            "max_overflow": settings.max_overflow,
            "pool_timeout": settings.pool_timeout,
            "pool_recycle": settings.pool_recycle or -1,
            "pool_pre_ping": settings.pre_ping,
        }
        self.engine: AsyncEngine = create_async_engine(
            self.url,
            hide_parameters=True,
            connect_args={
                "connection_class": ScopedConnection,
                "timeout": settings.connect_timeout,
                "server_settings": {
                    "application_name": "bartizan",
                    "statement_timeout": str(round(settings.statement_timeout * 1000)),
                    "idle_in_transaction_session_timeout": str(round(settings.idle_timeout * 1000)),
                },
            },
            **({"poolclass": NullPool} if settings.null_pool else pool),
        )
        self.readers = self.engine.execution_options(postgresql_readonly=True)
        event.listen(self.engine.sync_engine, "before_cursor_execute", _follow)
        self._queue: deque[tuple[asyncio.Future[Any], Callable[[Connection], Any], Context]] = deque()
        self._batcher: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def engines(self) -> tuple[AsyncEngine, ...]:
        """Every engine that a tenant wall must stand around."""
        return (self.engine,)

    async def begin(self) -> PostgresUnit:
        """Give a transaction."""
        return PostgresUnit(self.engine)

    async def write(self, function: Callable[[Connection], T]) -> T:
        """Run a plain function in a commit shared with others."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.append((future, function, copy_context()))
        if self._batcher is None or self._batcher.done() or self._loop is not loop:
            self._loop = loop
            # A context of its own: what the first caller carries must not cling to later units.
            self._batcher = loop.create_task(self._work(), context=Context())
        return await future

    def facts(self, connection: Connection) -> dict[str, str]:
        """Tell the server's version, its clock, and what it is set to."""
        names = ("server_version", "max_connections", "server_encoding", "synchronous_commit", "fsync")
        asked = ", ".join(f"current_setting('{name}')" for name in names)
        row = connection.exec_driver_sql(f"SELECT clock_timestamp(), {asked}").one()
        now, version, *rest = row
        return {"version": version, "now": now.isoformat(), **dict(zip(names[1:], rest, strict=True))}

    async def close(self) -> None:
        """Let go of every connection."""
        if self._batcher is not None and self._loop is asyncio.get_running_loop():
            await asyncio.wait([self._batcher], timeout=5)
        await self.engine.dispose()

    async def _work(self) -> None:
        """Drain the queue, one commit per batch, until nobody waits."""
        while self._queue:
            batch = [self._queue.popleft() for _ in range(min(_UNITS, len(self._queue)))]
            batch = [entry for entry in batch if not entry[0].done()]
            try:
                async with self.engine.connect() as connection:
                    done = await connection.run_sync(_run, batch)
                    await connection.commit()
            except BaseException as error:
                for future, *_ in batch:
                    _fail(future, error)
                if not isinstance(error, Exception):
                    raise
            else:
                for future, result in done:
                    if not future.done():
                        future.set_result(result)


def _run(
    connection: Connection, batch: list[tuple[asyncio.Future[Any], Callable[[Connection], Any], Context]]
) -> list[tuple[asyncio.Future[Any], Any]]:
    """Run each unit of a batch under its own savepoint; a failing one harms no neighbour."""
    done: list[tuple[asyncio.Future[Any], Any]] = []
    for future, function, context in batch:
        savepoint = connection.begin_nested()
        try:
            done.append((future, context.run(function, connection)))
            savepoint.commit()
        except Exception as error:
            done = [entry for entry in done if entry[0] is not future]
            if connection.invalidated:
                raise
            savepoint.rollback()
            _fail(future, error)
    return done


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        if (fault := fault_of(error)) is not None:
            fault.__cause__ = error if fault is not error else None
        elif not isinstance(error, Exception) or isinstance(error, StopIteration):
            fault = DatabaseUnreachable()
        future.set_exception(fault or error)


def _follow(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
    """Tell the server when the organization has changed within a transaction."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, ScopedConnection):
        return
    wanted = setting()
    if statement.startswith("ROLLBACK"):
        driver.told = None  # back at the savepoint, the server forgets what it was told since
    elif driver.told != wanted and driver.is_in_transaction():
        cursor = connection.connection.cursor()
        cursor.execute("SELECT set_config('bartizan.org_id', $1, true)", (wanted,))
        cursor.close()
        driver.told = wanted
