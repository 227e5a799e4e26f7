"""PostgreSQL's NOTIFY, and LISTEN on a connection of its own."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from bartizan.foundation.database.wakeups.store import notify

_PATIENCE = 5.0
"""Seconds in which a living server answers."""


class _Driver(Protocol):
    """What is used of an asyncpg connection."""

    def add_termination_listener(self, callback: Callable[..., None]) -> None: ...
    async def add_listener(self, channel: str, callback: Callable[..., None]) -> None: ...
    async def execute(self, query: str) -> str: ...


class PostgresBus:
    """Sends within the commit that counts, and hears on one connection beside the pool."""

    def __init__(self, engine: AsyncEngine, channel: str) -> None:
        self._engine = engine
        self._channel = channel
        self._doubtful = asyncio.Event()

    def within(self, connection: Connection, texts: Sequence[str]) -> None:
        """Send with the commit."""
        notify(connection, self._channel, texts)

    async def send(self, texts: Sequence[str]) -> None:
        """Send nothing more: the commit did."""

    async def listen(self, heard: Callable[[str], None], connected: Callable[[], None]) -> None:
        """Listen until the connection is lost."""

        def take(_connection: object, _pid: int, _channel: str, payload: str) -> None:
            heard(payload)

        def end(_connection: object) -> None:
            lost.set()

        lost = asyncio.Event()
        async with self._engine.connect() as connection:
            driver = cast("_Driver", (await connection.get_raw_connection()).driver_connection)
            await connection.run_sync(Connection.detach)  # the pool fills its place
            driver.add_termination_listener(end)
            await driver.add_listener(self._channel, take)
            self._doubtful.clear()
            connected()
            while await _either(self._doubtful, lost):
                self._doubtful.clear()
                async with asyncio.timeout(_PATIENCE):
                    await driver.execute("SELECT 1")

    def doubt(self) -> None:
        """Ask the server for a sign of life."""
        self._doubtful.set()

    async def close(self) -> None:
        """Hold nothing: the listening connection ends with its task."""


async def _either(first: asyncio.Event, second: asyncio.Event) -> bool:
    """Wait for one of two events; true if it was the first, and only that."""
    waits: set[asyncio.Task[Any]] = {asyncio.create_task(event.wait()) for event in (first, second)}
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    return first.is_set() and not second.is_set()
