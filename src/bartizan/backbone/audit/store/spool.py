"""A local file that keeps sealed records while the database will not take them."""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from bartizan.backbone.audit.errors import AuditUnavailable

T = TypeVar("T")
_TABLE = (
    "CREATE TABLE IF NOT EXISTS spool (id TEXT PRIMARY KEY, batch TEXT NOT NULL, at REAL NOT NULL, "
    "confirmed INTEGER NOT NULL, sealed BLOB NOT NULL)"
)


class Spool:
    """Records that wait; every call is on the disk before it returns.

    Several processes may share the file. A record counts as confirmed once the transaction that it speaks of
    has committed; one whose process died in between stays unconfirmed and is written with that remark.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self._path = path
        self._limit = limit

    async def put(
        self, batch: str, records: Sequence[tuple[str, bytes]], at: float, *, confirmed: bool
    ) -> None:
        """Keep records (id, sealed bytes), all or none; refuses when the file is full."""

        def insert(spool: sqlite3.Connection) -> None:
            [count] = spool.execute("SELECT count(*) FROM spool").fetchone()
            if count + len(records) > self._limit:
                message = "The audit log cannot be written, and the file that keeps its records is full."
                raise AuditUnavailable(message, spool_limit=self._limit)
            rows = [(record_id, batch, at, confirmed, sealed) for record_id, sealed in records]
            spool.executemany("INSERT INTO spool VALUES (?, ?, ?, ?, ?)", rows)

        await self._run(insert)

    async def confirm(self, batch: str) -> None:
        """Note that the transaction committed."""
        await self._run(
            lambda spool: spool.execute("UPDATE spool SET confirmed = 1 WHERE batch = ?", (batch,))
        )

    async def take(self, before: float, limit: int) -> Sequence[tuple[str, bytes, bool]]:
        """Give the oldest (id, sealed bytes, confirmed); unconfirmed ones only from before a moment."""
        if not await self.count():
            return []
        statement = (
            "SELECT id, sealed, confirmed FROM spool WHERE confirmed OR at < ? ORDER BY at, id LIMIT ?"
        )
        rows = await self._run(lambda spool: spool.execute(statement, (before, limit)).fetchall())
        return [(record_id, sealed, bool(confirmed)) for record_id, sealed, confirmed in rows]

    async def count(self) -> int:
        """Count the records that wait; a file that does not exist is not made for that."""
        if not await asyncio.to_thread(self._path.exists):
            return 0
        [count] = await self._run(lambda spool: spool.execute("SELECT count(*) FROM spool").fetchone())
        return int(count)

    async def drop(self, record_ids: Collection[str]) -> None:
        """Forget records that have been written."""
        rows = [(record_id,) for record_id in record_ids]
        await self._run(lambda spool: spool.executemany("DELETE FROM spool WHERE id = ?", rows))

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.to_thread(self._run_now, work)

    def _run_now(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
            with closing(sqlite3.connect(self._path, timeout=30, isolation_level=None)) as spool:
                spool.execute("PRAGMA synchronous=FULL")
                spool.execute(_TABLE)
                spool.execute("BEGIN IMMEDIATE")
                result = work(spool)
                spool.execute("COMMIT")
                return result
        except (sqlite3.Error, OSError) as error:
            raise AuditUnavailable from error
