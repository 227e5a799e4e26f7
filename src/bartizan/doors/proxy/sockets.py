"""A websocket carried to the application and back."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from websockets.client import ClientProtocol
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from bartizan.foundation.settings import ProxySettings

from .errors import BadRequest, TooSlow
from .exchange import Receive, Send
from .headers import Forwarding, Header, accepted, is_token, returned
from .pool import Pool
from .upstream import Upstream
from .wire import Wire

_BAD_GATEWAY = 1014
_FAREWELL = 5.0
"""Seconds for which the application may answer that it heard of the end."""
_SWITCHING = 101


class Relay:
    """Carries one websocket; no extension is offered to the application, so nothing is inflated here."""

    def __init__(
        self,
        pool: Pool,
        settings: ProxySettings,
        forwarding: Forwarding,
        upstream: Upstream,
        *,
        withheld: frozenset[bytes],
    ) -> None:
        """Prepare; ``withheld`` names fields that no answer may show to the caller."""
        self._pool = pool
        self._settings = settings
        self._forwarding = forwarding
        self._upstream = upstream
        self._withheld = withheld
        self._left = False

    async def run(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Carry it until either side ends it; raises :class:`ProxyError` before it is accepted."""
        if (await receive())["type"] != "websocket.connect":
            return
        wire = self._wire(scope)
        try:
            if await self._open(wire, scope, send):
                await self._carry(wire, receive, send)
        finally:
            wire.close()

    async def refuse(
        self, scope: Mapping[str, Any], send: Send, status: int, fields: list[Header], body: bytes
    ) -> None:
        """Refuse at the handshake: with a status where the server can, else by closing, which means 403."""
        if "websocket.http.response" in (scope.get("extensions") or {}):
            await send({"type": "websocket.http.response.start", "status": status, "headers": fields})
            await send({"type": "websocket.http.response.body", "body": body})
        else:
            await send({"type": "websocket.close", "code": _BAD_GATEWAY})

    def _wire(self, scope: Mapping[str, Any]) -> Wire:
        to = self._upstream
        names = [Subprotocol(name) for name in scope.get("subprotocols", ())]
        if not all(is_token(name) for name in names):
            raise BadRequest
        uri = WebSocketURI(to.scheme == "https", to.host, to.port, "/", "")
        return Wire(ClientProtocol(uri, subprotocols=names or None, max_size=self._settings.max_message))

    async def _open(self, wire: Wire, scope: Mapping[str, Any], send: Send) -> bool:
        """Shake hands with the application, then with the caller; tell whether both agreed."""
        ours = (
            (name, value) for name, value in wire.protocol.connect().headers.raw_items() if name != "Host"
        )
        lines = "".join(f"{name}: {value}\r\n" for name, value in ours)
        opening = self._forwarding.handshake(scope, lines.encode("ascii", "replace"))
        await self._pool.link(wire)
        wire.begin(opening)
        try:
            async with asyncio.timeout(self._settings.answer_timeout):
                response = await wire.answered()
        except TimeoutError as error:
            raise TooSlow from error
        headers = [
            (name.lower().encode(), value.encode("ascii", "surrogateescape"))
            for name, value in response.headers.raw_items()
        ]
        if response.status_code != _SWITCHING:
            body = bytes(response.body or b"")
            kept = returned(response.status_code, headers, self._withheld | {b"content-length"})
            kept.append((b"content-length", str(len(body)).encode()))
            await self.refuse(scope, send, response.status_code, kept, body)
            return False
        said = {"subprotocol": wire.protocol.subprotocol, "headers": accepted(headers, self._withheld)}
        await send({"type": "websocket.accept", **said})
        return True

    async def _carry(self, wire: Wire, receive: Receive, send: Send) -> None:
        up = asyncio.create_task(self._up(wire, receive))
        pulse = asyncio.create_task(self._pulse(wire))
        try:
            with suppress(OSError):  # the caller is gone; the other half hears of it, too
                while (message := await wire.next()) is not None:
                    await send(message)
                if not self._left:
                    code, reason = wire.end
                    await send({"type": "websocket.close", "code": code, "reason": reason})
        finally:
            for task in (up, pulse):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _up(self, wire: Wire, receive: Receive) -> None:
        """Carry what the caller says; when it leaves, tell the application why."""
        try:
            while (message := await receive())["type"] == "websocket.receive":
                await wire.say(message)
            self._left = True
            wire.hang_up(message.get("code") or 1005, message.get("reason") or "")
            await asyncio.sleep(_FAREWELL)
        finally:
            wire.close()

    async def _pulse(self, wire: Wire) -> None:
        while seconds := self._settings.ping_seconds:
            await asyncio.sleep(seconds)
            wire.ping()
