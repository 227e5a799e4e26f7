"""Redis or Valkey: publish and subscribe."""

from collections.abc import Callable, Sequence
from typing import Any

from redis.asyncio import Redis
from sqlalchemy import Connection

_PATIENCE = 5.0
"""Seconds for the server to answer."""
_PING = 30.0
"""Seconds of silence after which a connection has to show that it lives."""


class RedisBus:
    """Sends after the commit, and hears on one connection."""

    def __init__(self, address: str, channel: str) -> None:
        self._channel = channel
        library: Any = Redis
        self._client = library.from_url(
            address,
            socket_connect_timeout=_PATIENCE,
            socket_timeout=_PATIENCE,
            health_check_interval=_PING,
            max_connections=4,
        )
        self._subscription: Any = None
        self._doubtful = False

    def within(self, connection: Connection, texts: Sequence[str]) -> None:
        """Send nothing with the commit: Redis does not belong to it."""

    async def send(self, texts: Sequence[str]) -> None:
        """Publish."""
        for text in texts:
            await self._client.publish(self._channel, text)

    async def listen(self, heard: Callable[[str], None], connected: Callable[[], None]) -> None:
        """Subscribe until the connection is lost."""
        async with self._client.pubsub() as subscription:
            await subscription.subscribe(self._channel)
            self._doubtful = False
            while True:
                message = await subscription.get_message(timeout=1.0)
                if self._doubtful:
                    self._doubtful = False
                    await subscription.ping()
                if message is None:
                    continue
                if message["type"] == "subscribe":
                    connected()
                elif message["type"] == "message":
                    heard(message["data"].decode("ascii", "replace"))

    def doubt(self) -> None:
        """Ask the server for a sign of life."""
        self._doubtful = True

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()
