"""SQLite called directly on the event loop: no thread hop for a database that answers in microseconds."""

from typing import Any

from sqlalchemy import pool
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import URL
from sqlalchemy.util import await_only


class InlineSQLite(SQLiteDialect_pysqlite):
    """``sqlite+inline://``: SQLAlchemy's asyncio API over the standard library's driver."""

    driver = "inline"
    is_async = True
    supports_statement_cache = True

    @classmethod
    def get_pool_class(cls, url: URL) -> type[pool.Pool]:  # noqa: ARG003 - SQLAlchemy's signature
        """Pool connections the asyncio way."""
        return pool.AsyncAdaptedQueuePool

    def get_driver_connection(self, connection: Any) -> Any:
        """Hand out the driver's own connection."""
        return connection

    def do_terminate(self, dbapi_connection: Any) -> None:
        """Close a connection that is not to be trusted any more."""
        dbapi_connection.close()

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:  # noqa: ARG002
        """Run one statement."""
        await_only(_nothing())
        cursor.execute(statement, parameters)

    def do_executemany(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:  # noqa: ARG002
        """Run one statement for many rows."""
        await_only(_nothing())
        cursor.executemany(statement, parameters)

    def do_execute_no_params(self, cursor: Any, statement: str, context: Any = None) -> None:  # noqa: ARG002
        """Run one statement as it stands."""
        await_only(_nothing())
        cursor.execute(statement)


async def _nothing() -> None:
    """Satisfy SQLAlchemy's bridge, which refuses a call in which nothing is awaited."""


def register() -> None:
    """Make ``sqlite+inline`` known to SQLAlchemy."""
    registry.register("sqlite.inline", __name__, "InlineSQLite")
