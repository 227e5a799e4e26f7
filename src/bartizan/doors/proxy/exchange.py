"""One request and its answer, streamed in both directions at the pace of the slower side."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from bartizan.foundation.settings import ProxySettings

from .connection import Connection
from .errors import BrokeOff, Left, ProxyError
from .headers import Header, Outgoing, returned
from .pool import Pool

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_CHANGES_NOTHING = frozenset({"GET", "HEAD", "OPTIONS"})
_EXPECT = 1.0
"""Seconds for which the application may leave a caller waiting who asked whether to send the body."""
_HUNG_UP = 499


class Exchange:
    """Carries one request to the application and its answer back."""

    def __init__(
        self,
        pool: Pool,
        settings: ProxySettings,
        request: Outgoing,
        receive: Receive,
        send: Send,
        *,
        withheld: frozenset[bytes],
    ) -> None:
        """Prepare; ``withheld`` names fields that no answer may show to the caller."""
        self._pool = pool
        self._settings = settings
        self._request = request
        self._receive = receive
        self._send = send
        self._withheld = withheld
        self._first = b""
        self._more = False
        self._unsent = request.length
        self._pump: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._left = False
        self.started = False
        """The caller has the head of an answer."""

    async def run(self) -> None:
        """Carry it through; raises :class:`ProxyError` where there is no answer to give."""
        if not self._request.bare and not self._request.expects and not await self._read_first():
            return
        connection = await self._pool.take()
        try:
            await self._ask(connection)
            if connection.error is not None and self._again(connection):
                self._pool.drop(connection)
                connection = await self._pool.take(fresh=True)
                await self._ask(connection)
            if connection.error is not None:
                raise connection.error
            await self._answer(connection)
        except Left:
            await self._hung_up()
        finally:
            await self._stop_pump()
            self._let_go(connection)

    async def _read_first(self) -> bool:
        """Read the first piece of the body; tell whether the caller is still there."""
        request = self._request
        message = await self._receive()
        if message["type"] != "http.request":
            return False
        self._first, self._more = message.get("body", b""), message.get("more_body", False)
        if request.unknown:
            request.unknown = False
            if self._more:
                request.chunked = True
            elif self._first:
                request.length = self._unsent = len(self._first)
        return True

    async def _ask(self, connection: Connection) -> None:
        """Send the request and wait for the head of the answer; what went wrong is in ``error``."""
        request = self._request
        self._connection = connection
        opening = request.opening() + self._piece(self._first, last=not self._more)
        connection.begin(opening, head=request.method == "HEAD")
        connection.until(self._settings.answer_timeout)
        if self._more or request.expects:
            self._pump = asyncio.create_task(self._carry(connection))
        else:
            connection.watch = self._watch
        with suppress(ProxyError, Left):
            await connection.head()

    def _again(self, connection: Connection) -> bool:
        """Tell whether an old connection was found dead, so that asking once more does no harm."""
        stale = isinstance(connection.error, BrokeOff) and connection.served > 0 and not connection.heard
        return stale and self._request.repeatable

    async def _answer(self, connection: Connection) -> None:
        fields = returned(connection.status, connection.headers, self._withheld)
        if self._request.expects and self._more and not connection.go_ahead:
            fields.append((b"connection", b"close"))  # nobody knows whether the body still comes
        await self._start(connection.status, fields)
        if self._left:
            raise Left
        while True:
            piece = connection.take()
            done = connection.complete
            if piece or done:
                await self._send({"type": "http.response.body", "body": piece, "more_body": not done})
            if done:
                return
            connection.until(self._settings.idle_timeout)
            self._watch()
            await connection.more()

    async def _start(self, status: int, fields: list[Header]) -> None:
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": fields})

    # ---- the body of the request, and whether the caller is still there

    def _watch(self) -> None:
        """From now on, notice when the caller hangs up."""
        if self._pump is None and self._connection is not None:
            self._connection.watch = None
            self._pump = asyncio.create_task(self._carry(self._connection))

    async def _carry(self, connection: Connection) -> None:
        """Send the rest of the body as it comes; then wait for the caller to leave."""
        try:
            if self._request.expects and not self._more:
                self._more = True
                with suppress(TimeoutError):
                    async with asyncio.timeout(_EXPECT):
                        if not await connection.continued():
                            return
            while self._more:
                connection.until(self._settings.idle_timeout)
                await self._carry_piece(connection)
                if not self._more and not connection.answered:
                    connection.until(self._settings.answer_timeout)
            await self._until_left()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - a body beyond its limit, for one: the exchange ends with it
            (self._connection or connection).fail(error)

    async def _carry_piece(self, connection: Connection) -> None:
        message = await self._receive()
        if message["type"] != "http.request":
            raise Left
        piece, self._more = message.get("body", b""), message.get("more_body", False)
        connection.write(self._piece(piece, last=not self._more))
        await connection.drained()

    async def _until_left(self) -> None:
        empty = 0
        while empty < 2:  # noqa: PLR2004 - the end of a body that nobody asked for, and then nothing but the end
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._left = True
                if self._request.method in _CHANGES_NOTHING or self.started:
                    raise Left
                return  # what it changes is on the record all the same: the answer is waited for
            empty += 1

    def _piece(self, piece: bytes, *, last: bool) -> bytes:
        """Frame a piece of the body; a body that does not keep its word ends the exchange."""
        if self._request.chunked:
            framed = b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
            return framed + b"0\r\n\r\n" if last and not self._awaited else framed
        if self._unsent is not None:
            self._unsent -= len(piece)
            if self._unsent < 0 or (last and self._unsent > 0 and not self._awaited):
                raise Left
        return piece

    @property
    def _awaited(self) -> bool:
        """Whether the body has not begun, because the caller asked first."""
        return self._request.expects and self._pump is None

    # ---- the end

    async def _hung_up(self) -> None:
        """Say that the caller left before there was an answer: nobody hears it, but it is on the record."""
        if not self.started:
            with suppress(OSError):
                await self._start(_HUNG_UP, [(b"content-length", b"0")])
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _stop_pump(self) -> None:
        if self._pump is not None and not self._pump.done():
            self._pump.cancel()
            with suppress(asyncio.CancelledError):
                await self._pump

    def _let_go(self, connection: Connection) -> None:
        if self._more or connection.error is not None or not connection.complete:
            self._pool.drop(connection)
        else:
            self._pool.give(connection)
