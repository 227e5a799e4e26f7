"""Websockets: what one tenant says or does must not reach another's connection."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.types import ASGIApp, Message

from bartizan.doors.testing.cast import HOST

from .matrix import HOSTS
from .report import Leak, Report
from .surface import PARAMETER, Operation
from .tenants import Tenant

_OPENING = 10.0


class Socket:
    """One websocket of one tenant, spoken in this process."""

    def __init__(self, app: ASGIApp, path: str, tenant: Tenant, headers: dict[str, str]) -> None:
        """Prepare; :meth:`open` connects."""
        self._app, self._path, self._tenant, self._headers = app, path, tenant, headers
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._outbox: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> bool:
        """Connect; tell whether the application accepted."""
        headers = {
            "host": urlsplit(HOST).netloc,
            "authorization": str(self._tenant.http.headers["authorization"]),
            **self._headers,
        }
        path, _, query = self._path.partition("?")
        scope: dict[str, Any] = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": path,
            "raw_path": quote(path).encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("203.0.113.9", 4711),
            "server": (urlsplit(HOST).netloc, 80),
            "subprotocols": [],
            "state": {},
        }
        self._inbox.put_nowait({"type": "websocket.connect"})

        async def serve() -> None:
            try:
                await self._app(scope, self._inbox.get, self._outbox.put)
            finally:
                self._outbox.put_nowait({"type": "websocket.close"})

        self._task = asyncio.create_task(serve(), name=f"websocket {path}")
        try:
            async with asyncio.timeout(_OPENING):
                first = await self._outbox.get()
        except TimeoutError:
            return False
        return bool(first["type"] == "websocket.accept")

    def say(self, text: str) -> None:
        """Send a text."""
        self._inbox.put_nowait({"type": "websocket.receive", "text": text})

    async def hears(self, tell: Callable[[str], bool], patience: float) -> str | None:
        """Wait until something comes that ``tell`` is looking for; none if nothing does in time."""
        try:
            async with asyncio.timeout(patience):
                while True:
                    message = await self._outbox.get()
                    if message["type"] == "websocket.close":
                        return None
                    said = str(message.get("text") or (message.get("bytes") or b"").decode(errors="replace"))
                    if tell(said):
                        return said
        except TimeoutError:
            return None

    async def close(self) -> None:
        """Hang up."""
        self._inbox.put_nowait({"type": "websocket.disconnect", "code": 1000})
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=_OPENING)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


class Eavesdropping:
    """Listens as Globex while Acme talks and works."""

    def __init__(  # noqa: PLR0917
        self,
        app: ASGIApp,
        acme: Tenant,
        globex: Tenant,
        report: Report,
        work: Callable[[], Coroutine[Any, Any, None]],
        patience: float,
    ) -> None:
        """``work`` lets Acme do things by HTTP; ``patience`` is how many seconds silence has to last."""
        self._app, self._acme, self._globex, self._report = app, acme, globex, report
        self._work, self._patience = work, patience

    async def listen(self, path: str) -> None:
        """Try one websocket route."""
        route = f"WS {path}"
        operation = Operation("GET", path)
        acmes, own = self._acme.fill(operation), self._globex.fill(operation)
        if acmes is None:
            self._report.skip(route, "no value of its path is known")
            return
        at_home = Socket(self._app, _filled(path, acmes), self._acme, {})
        try:
            if not await at_home.open():
                self._report.skip(route, "it does not let its owner in")
                return
            self._report.tried(route)
            if operation.names and not self._globex.holds(operation, acmes[operation.names[-1]]):
                await self._intrude(route, path, acmes, at_home)
            if own is not None:
                await self._overhear(route, _filled(path, own), at_home, {}, "an ordinary connection")
            if own is not None and not self._report.of(route):
                everybody = dict.fromkeys(HOSTS, self._acme.org_id)
                how = "headers named Acme's organization"
                await self._overhear(route, _filled(path, own), at_home, everybody, how)
        finally:
            await at_home.close()

    async def _intrude(self, route: str, path: str, acmes: dict[str, str], at_home: Socket) -> None:
        """Connect to what is Acme's: to be let in is a leak already."""
        how = "the path named Acme's"
        there = _filled(path, acmes)
        socket = Socket(self._app, there, self._globex, {})
        try:
            if await socket.open():
                self._leak(route, how, "the connection was accepted", there)
                await self._overheard(route, how, there, socket, at_home)
        finally:
            await socket.close()

    async def _overhear(
        self, route: str, path: str, at_home: Socket, headers: dict[str, str], how: str
    ) -> None:
        socket = Socket(self._app, path, self._globex, headers)
        try:
            if await socket.open():
                await self._overheard(route, how, path, socket, at_home)
        finally:
            await socket.close()

    async def _overheard(self, route: str, how: str, path: str, socket: Socket, at_home: Socket) -> None:
        mark = self._acme.mark
        for text in (f"{mark}777 sample", json.dumps({"type": "message", "text": f"{mark}778 sample"})):
            at_home.say(text)
        await self._work()
        heard = await socket.hears(lambda said: mark in said, self._patience)
        if heard is not None:
            self._leak(route, how, f"it was told {heard[:120]!r}, which is Acme's", path)

    def _leak(self, route: str, how: str, what: str, path: str) -> None:
        address = HOST.replace("http", "ws", 1) + path
        line = f'websocat -H="Authorization: Bearer ${self._globex.variable}" {address}'
        self._report.add(Leak(route, how, what, line))


def _filled(path: str, values: dict[str, str]) -> str:
    return PARAMETER.sub(lambda found: values[found[1]], path)
