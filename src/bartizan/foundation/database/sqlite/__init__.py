"""SQLite: one connection that writes (see :mod:`.writer`), a pool of others that only read.

Write-ahead log, so that readers never wait for the writer and always see a whole state. Foreign keys
are on. ``synchronous`` is FULL by default, not NORMAL: an acknowledged change and its audit row
survive a power cut, and because units share commits, FULL costs next to nothing under load.
"""

import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, event
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from bartizan.foundation.database import dialect
from bartizan.foundation.database.settings import DatabaseSettings

from .writer import Unit, Writer

T = TypeVar("T")


class Sqlite:
    """A SQLite file. In memory means a throw-away file, since connections cannot share memory safely."""

    def __init__(self, url: URL, settings: DatabaseSettings) -> None:
        dialect.register()
        self._settings = settings
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        if url.database in (None, "", ":memory:"):
            self._scratch = tempfile.TemporaryDirectory(prefix="bartizan-", ignore_cleanup_errors=True)
            url = url.set(database=f"{self._scratch.name}/bartizan.db")
        self.url = url
        common: dict[str, Any] = {"connect_args": {"check_same_thread": False}, "hide_parameters": True}
        inline, turn = url.set(drivername="sqlite+inline"), url.set(drivername="sqlite+turn")
        self.readers = create_async_engine(
            inline,
            pool_size=settings.pool_size,
            max_overflow=settings.max_overflow,
            pool_timeout=settings.pool_timeout,
            **common,
        )
        self.engine = create_async_engine(inline, poolclass=NullPool, **common)
        writing = create_async_engine(turn, **common)
        self.engines = (self.readers, self.engine, writing)
        """Every engine that a tenant wall must stand around."""
        event.listen(self.readers.sync_engine, "connect", self._prepare_reader)
        for engine in (self.engine, writing):
            event.listen(engine.sync_engine, "connect", self._prepare)
        self._writer = Writer(writing, turn_timeout=settings.pool_timeout, busy_timeout=settings.busy_timeout)

    async def begin(self) -> Unit:
        """Wait for the turn to write."""
        return await self._writer.begin()

    async def write(self, function: Callable[[Connection], T]) -> T:
        """Run a plain function in a commit shared with others."""
        return await self._writer.write(function)

    async def close(self) -> None:
        """Let go of every connection."""
        await self._writer.close()
        await self.readers.dispose()
        if self._scratch:
            self._scratch.cleanup()

    def facts(self, connection: Connection) -> dict[str, str]:
        """Tell the library's version, its clock, and how the file is opened."""

        def said(name: str) -> str:
            return str(connection.exec_driver_sql(f"PRAGMA {name}").scalar())

        # The library runs in this process, so its clock is this machine's.
        return {
            "version": sqlite3.sqlite_version,
            "now": datetime.now(UTC).isoformat(),
            **{name: said(name) for name in ("journal_mode", "synchronous", "foreign_keys", "encoding")},
        }

    def _prepare(self, connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        connection.execute(f"PRAGMA busy_timeout={round(self._settings.busy_timeout * 1000)}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={self._settings.synchronous}")
        connection.execute("PRAGMA foreign_keys=ON")

    def _prepare_reader(self, connection: sqlite3.Connection, record: object) -> None:
        # A file on a read-only disk cannot be put in WAL mode, and can be read all the same.
        with suppress(sqlite3.OperationalError):
            self._prepare(connection, record)
        connection.execute("PRAGMA query_only=ON")
