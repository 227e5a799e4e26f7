"""The proxy as an ASGI application: HTTP, websockets, and the life of its connections."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from bartizan.foundation.settings import ProxySettings
from bartizan.foundation.telemetry import logger

from .answers import answer
from .errors import ProxyError
from .exchange import Exchange, Receive, Send
from .headers import Forwarding
from .pool import Pool
from .sockets import Relay
from .upstream import Upstream

_REMEMBERED = 2.0


class Proxy:
    """Hands every request on to one application and streams its answer back.

    An instance, not a function: servers take functions for factories. Who may come this far, the gate in
    front has decided.
    """

    def __init__(
        self,
        upstream: Upstream | str,
        settings: ProxySettings | None = None,
        *,
        names: frozenset[bytes] = frozenset(),
    ) -> None:
        """Stand for ``upstream``; ``names`` are the fields in which the gate tells it who is asking.

        Those fields survive whatever a caller writes in ``Connection``, and no answer shows them.
        """
        self.upstream = Upstream.parse(upstream) if isinstance(upstream, str) else upstream
        self._settings = settings or ProxySettings()
        self._names = names
        self._pool = Pool(self.upstream, self._settings)
        self._forwarding = Forwarding(self.upstream, preserve_host=self._settings.preserve_host, kept=names)
        self._log = logger(__name__)
        self._asking = asyncio.Lock()
        self._well = (0.0, False)

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one connection."""
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "websocket":
                await self._websocket(scope, receive, send)
            case "lifespan":
                await self._live(receive, send)
            case other:
                message = f"The proxy does not know connections of type {other!r}."
                raise RuntimeError(message)

    async def healthy(self) -> bool:
        """Tell whether the application answers; asked at most every two seconds, whoever wants to know."""
        async with self._asking:
            until, well = self._well
            if time.monotonic() >= until:
                well = await self._ask()
                self._well = (time.monotonic() + _REMEMBERED, well)
        return well

    def close(self) -> None:
        """Close every connection to the application."""
        self._pool.close()

    async def _http(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        exchange: Exchange | None = None
        try:
            request = self._forwarding.request(scope)
            exchange = Exchange(self._pool, self._settings, request, receive, send, withheld=self._names)
            await exchange.run()
        except ProxyError as error:
            self._log.warning(
                error.code,
                upstream=str(self.upstream),
                method=scope["method"],
                error=str(error) or error.title,
            )
            if exchange is None or not exchange.started:
                status, fields, body = answer(scope, error)
                await send({"type": "http.response.start", "status": status, "headers": fields})
                await send({"type": "http.response.body", "body": body if scope["method"] != "HEAD" else b""})
            # Else: the answer stays unfinished, and the server ends the connection so that all can see it.

    async def _websocket(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        relay = Relay(self._pool, self._settings, self._forwarding, self.upstream, withheld=self._names)
        try:
            await relay.run(scope, receive, send)
        except ProxyError as error:
            self._log.warning(error.code, upstream=str(self.upstream), method="websocket", error=str(error))
            await relay.refuse(scope, send, *answer(scope, error))

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _ask(self) -> bool:
        path = self._settings.health_path
        try:
            async with asyncio.timeout(self._settings.connect_timeout):
                connection = await self._pool.aside()
                try:
                    if not path:
                        return True
                    request = (
                        f"GET {self.upstream.base}{path} HTTP/1.1\r\nhost: {self.upstream.authority}\r\n"
                    )
                    connection.begin(request.encode("ascii") + b"connection: close\r\n\r\n", head=False)
                    await connection.head()
                    return connection.status < 500  # noqa: PLR2004
                finally:
                    connection.close()
        except (ProxyError, TimeoutError):
            return False
