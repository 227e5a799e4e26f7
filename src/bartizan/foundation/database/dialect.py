"""SQLite called directly on the event loop: no thread hop for a database that answers in microseconds."""

import sqlite3
from importlib import import_module
from typing import Any

from sqlalchemy import pool
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.util import await_only
from sqlalchemy.util.concurrency import in_greenlet


class InlineCursor(sqlite3.Cursor):
    """A cursor as SQLAlchemy's asyncio face wants it."""

    async def _async_soft_close(self) -> None:
        """Keep the rows that are still to be read: they cost nothing, and no await."""


class InlineConnection(sqlite3.Connection):
    """A connection that gives such cursors."""

    def cursor(self, factory: Any = InlineCursor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Open a cursor."""
        return super().cursor(factory)


class InlineSQLite(SQLiteDialect_pysqlite):
    """``sqlite+inline://``: SQLAlchemy's asyncio API over the standard library's driver.

    Nothing in it ever suspends, so a task cannot be cancelled between two of its statements.
    """

    driver = "inline"
    is_async = True
    supports_statement_cache = True

    @classmethod
    def get_pool_class(cls, url: URL) -> type[pool.Pool]:  # noqa: ARG003 - SQLAlchemy's signature
        """Pool connections the asyncio way."""
        return pool.AsyncAdaptedQueuePool

    def connect(self, *args: Any, **kwargs: Any) -> Any:
        """Open a connection."""
        return super().connect(*args, factory=InlineConnection, **kwargs)

    def get_driver_connection(self, connection: Any) -> Any:
        """Hand out the driver's own connection."""
        return connection

    def do_terminate(self, dbapi_connection: Any) -> None:
        """Close a connection that is not to be trusted any more."""
        dbapi_connection.close()

    def do_begin(self, dbapi_connection: Any) -> None:
        """Begin for real, so that one reading block sees one state of the data."""
        dbapi_connection.execute("BEGIN")

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:  # noqa: ARG002
        """Run one statement."""
        _satisfy()
        cursor.execute(statement, parameters)

    def do_executemany(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:  # noqa: ARG002
        """Run one statement for many rows."""
        _satisfy()
        cursor.executemany(statement, parameters)

    def do_execute_no_params(self, cursor: Any, statement: str, context: Any = None) -> None:  # noqa: ARG002
        """Run one statement as it stands."""
        _satisfy()
        cursor.execute(statement)


class TurnSQLite(InlineSQLite):
    """``sqlite+turn://``: what SQLAlchemy takes for a transaction is one unit of the writer's batch.

    The writer (see :mod:`.sqlite.writer`) begins and commits the real one, which several units share. Each
    unit is a savepoint of it.
    """

    driver = "turn"
    supports_statement_cache = True

    @classmethod
    def get_pool_class(cls, url: URL) -> type[pool.Pool]:  # noqa: ARG003 - SQLAlchemy's signature
        """Pool nothing: the writer holds the one connection there is."""
        return pool.NullPool

    def do_begin(self, dbapi_connection: Any) -> None:
        """Open the unit."""
        _require_batch(dbapi_connection)
        dbapi_connection.execute("SAVEPOINT unit")

    def do_commit(self, dbapi_connection: Any) -> None:
        """Close the unit; it is durable when the batch is."""
        _require_batch(dbapi_connection)
        dbapi_connection.execute("RELEASE unit")

    def do_rollback(self, dbapi_connection: Any) -> None:
        """Undo the unit. Nothing is left to undo where SQLite itself has rolled the batch back."""
        if dbapi_connection.in_transaction:
            dbapi_connection.execute("ROLLBACK TO unit")
            dbapi_connection.execute("RELEASE unit")

    def do_savepoint(self, connection: Any, name: str) -> None:
        """Open a savepoint inside the unit."""
        connection.connection.driver_connection.execute(f"SAVEPOINT {name}")

    def do_release_savepoint(self, connection: Any, name: str) -> None:
        """Keep what happened since the savepoint."""
        connection.connection.driver_connection.execute(f"RELEASE {name}")

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        """Run one statement inside the batch, never outside."""
        _require_batch(cursor.connection)
        super().do_execute(cursor, statement, parameters, context)

    def do_executemany(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        """Run one statement for many rows inside the batch, never outside."""
        _require_batch(cursor.connection)
        super().do_executemany(cursor, statement, parameters, context)


def _require_batch(connection: sqlite3.Connection) -> None:
    # SQLite rolls back by itself when the disk is full or fails. A statement sent after that would
    # commit on its own, so a unit that caught the error must not go on.
    if not connection.in_transaction:
        error = sqlite3.OperationalError("the transaction was rolled back by SQLite")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise error


def _satisfy() -> None:
    # SQLAlchemy's asyncio connection refuses a call in which nothing is awaited.
    if in_greenlet():
        await_only(_nothing())


async def _nothing() -> None:
    """Await nothing; suspends nobody."""


def insert_into(session: AsyncSession, table: Any) -> Any:
    """Make an INSERT that says what to do on conflict, in the session's own dialect.

    A dialect is loaded where it is spoken: PostgreSQL's costs a tenth of a start on SQLite.
    """
    return import_module(f"sqlalchemy.dialects.{session.get_bind().dialect.name}").insert(table)


def register() -> None:
    """Make both dialects known to SQLAlchemy."""
    registry.register("sqlite.inline", __name__, "InlineSQLite")
    registry.register("sqlite.turn", __name__, "TurnSQLite")
