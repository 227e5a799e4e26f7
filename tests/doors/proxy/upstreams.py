"""Applications behind the proxy: one that tells what reached it, and one that says what it is told."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from bartizan.doors.proxy import Proxy
from bartizan.foundation.settings import ProxySettings
from tests.doors.served import served

Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Scripted:
    """A server on a raw socket that says what a test tells it to, and keeps what it heard."""

    def __init__(self) -> None:
        self.heard = b""
        self.connections = 0
        self.url = ""

    def only(self, answer: bytes, *, close: bool = False) -> Speak:
        """Read a head and give ``answer``, again and again."""

        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                self.heard += await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)
                await writer.drain()
                if close:
                    return

        return speak


@asynccontextmanager
async def scripted(
    speak: bytes | Callable[[Scripted], Speak], *, close: bool = False
) -> AsyncGenerator[Scripted]:
    """Serve what ``speak`` says, or one answer."""
    said = Scripted()
    talk = said.only(speak, close=close) if isinstance(speak, bytes) else speak(said)
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        said.connections += 1
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await talk(reader, writer)
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    said.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield said
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def proxied(
    upstream: str,
    *,
    names: frozenset[bytes] = frozenset(),
    serve: dict[str, Any] | None = None,
    **settings: Any,
) -> AsyncGenerator[str]:
    """Serve a proxy for ``upstream``, without a gate; give its address."""
    proxy = Proxy(upstream, ProxySettings(**settings), names=names)
    async with served(proxy, **{"proxy_headers": False, **(serve or {})}) as url:
        yield url


async def say(url: str, sent: bytes, *, finish: bool = True) -> bytes:
    """Send bytes to a server and read until it closes, or until nothing more comes for a while."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
    writer.write(sent)
    if finish:
        writer.write_eof()
    try:
        async with asyncio.timeout(20):
            return await reader.read()
    finally:
        writer.close()


async def told(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI application that tells what reached it, field by field; it reads the body whole."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    size, message = 0, await receive()
    while message["type"] == "http.request":
        size += len(message["body"])
        if not message["more_body"]:
            break
        message = await receive()
    seen = {
        "method": scope["method"],
        "target": scope["raw_path"].decode() + "?" + scope["query_string"].decode(),
        "headers": [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
        "bytes": size,
        "peer": scope["client"],
    }
    body = json.dumps(seen).encode()
    fields = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for something that sets no event."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - it may happen in another process
            await asyncio.sleep(0.01)
