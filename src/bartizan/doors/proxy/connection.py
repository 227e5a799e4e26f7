"""One connection to the application: HTTP/1.1, one exchange at a time, in constant memory."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from .errors import BrokeOff, Senseless

_HIGH = 256 * 1024
"""Bytes of an answer that wait here at most before the upstream is told to wait."""
_MOST_INTERIM = 32
_BODILESS = frozenset({204, 304})


class Connection(asyncio.Protocol):
    """Parses answers as they arrive; whoever runs the exchange takes the pieces.

    What could be read in two ways ends the connection: lengths that contradict each other, folded or broken
    lines (the parser sees to those), an answer nobody asked for.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, max_head: int, lost: Callable[["Connection"], None]
    ) -> None:
        """Tell ``lost`` when the connection is gone."""
        self._loop = loop
        self._max_head = max_head
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._parser = HttpResponseParser(self)
        self._waiters: list[asyncio.Future[None]] = []
        self._room: asyncio.Future[None] | None = None
        self._full = False
        self.closed = False
        self.busy = False
        self.served = 0
        """Exchanges that went well before."""
        self.since = 0.0
        self.deadline = 0.0
        self.watch: Callable[[], None] | None = None
        """Called once when an exchange has taken a while: somebody has to see whether the caller is there."""
        self._clear(head=False)

    def _clear(self, *, head: bool) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.answered = False
        """The head of the final answer is here."""
        self.complete = False
        self.heard = False
        """At least one byte of an answer came."""
        self.error: BaseException | None = None
        self.go_ahead = False
        """The application said 100."""
        self._pieces: list[bytes] = []
        self._held = 0
        self._head = head
        self._seen = 0
        self._fields = 0
        self._interim = 0
        self._passing = False
        self._keep = False
        self._to_the_end = False

    # ---- the exchange

    def begin(self, opening: bytes, *, head: bool) -> None:
        """Send the head of a request, and perhaps its body; ``head`` says that the answer has no body."""
        self._clear(head=head)
        self.busy = True
        self.write(opening)

    @property
    def usable(self) -> bool:
        """Whether another exchange can begin."""
        return self._transport is not None and not self._transport.is_closing()

    def finish(self) -> bool:
        """End the exchange; tell whether another may follow."""
        self.busy = False
        self.watch = None
        self.served += 1
        return self.complete and self._keep and self.usable and self.error is None

    def until(self, seconds: float) -> None:
        """Give the upstream and the caller so long for the next byte."""
        self.deadline = self._loop.time() + seconds

    def write(self, data: bytes) -> None:
        """Send bytes; :meth:`drained` says when more are welcome."""
        if self._transport is not None:
            self._transport.write(data)

    async def drained(self) -> None:
        """Wait until what was written is on its way."""
        while self._full and not self.closed:
            self._room = self._loop.create_future()
            await self._room

    async def head(self) -> None:
        """Wait for the head of the final answer; raises what went wrong."""
        while not self.answered:
            await self._changed()

    async def continued(self) -> bool:
        """Wait until the application wants the body; it may also answer without."""
        while not (self.go_ahead or self.answered):
            await self._changed()
        return not self.answered

    async def more(self) -> None:
        """Wait for another piece, or for the end."""
        while not (self._pieces or self.complete):
            await self._changed()

    def take(self) -> bytes:
        """Take what has arrived of the body."""
        pieces = self._pieces
        if not pieces:
            return b""
        self._pieces = []
        if self._held > _HIGH and self._transport is not None and not self.closed:
            self._transport.resume_reading()
        self._held = 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def fail(self, error: BaseException) -> None:
        """End the exchange with an error, and the connection with it."""
        if self.error is None:
            self.error = error
        self._keep = False
        self.close()
        self._wake()

    def close(self) -> None:
        """Let go of the connection."""
        if self._transport is None:
            return
        if self.busy and not self.complete:
            self._transport.abort()
        else:
            self._transport.close()

    async def _changed(self) -> None:
        if self.error is not None:
            raise self.error
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.append(waiter)
        await waiter

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    def _give_room(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    # ---- what the transport says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse; the callbacks below are called meanwhile."""
        if not self.busy or self.closed:
            self._keep = False
            self.close()  # an answer to nothing
            return
        self.heard = True
        if not self.answered:
            self._seen += len(data)
        parser = self._parser  # held: a callback may put another in its place
        try:
            parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._keep = False
            if not self.complete:
                self.fail(
                    error.__context__ if isinstance(error.__context__, Senseless) else Senseless(str(error))
                )
                return
        if not self.answered and self._seen > self._max_head:
            self.fail(Senseless("The head of the answer is too large."))
            return
        if self._waiters:
            self._wake()

    def pause_writing(self) -> None:
        """Hear that the upstream reads more slowly than we write."""
        self._full = True

    def resume_writing(self) -> None:
        """Hear that it has caught up."""
        self._full = False
        self._give_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Hear that it is gone; an answer without a length is complete now."""
        self.closed = True
        self._transport = None
        if self.busy and not self.complete:
            if self.answered and self._to_the_end and exc is None and self.error is None:
                self.complete = True
            elif self.error is None:
                self.error = BrokeOff(str(exc or "The connection was closed."))
        self._keep = False
        self._wake()
        self._give_room()
        self._lost(self)

    # ---- what the parser says

    def on_message_begin(self) -> None:
        """Hear of an answer; a second one is no answer of ours."""
        if self.complete:
            raise Senseless

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a field of the head; trailers are dropped."""
        self._fields += len(name) + len(value)
        if self._fields > self._max_head:
            raise Senseless("The head or the trailers of the answer are too large.")
        if not self.answered:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Decide what the answer is, and how its end is known."""
        status: int = self._parser.get_status_code()
        if status < HTTPStatus.OK:
            self._interim += 1
            if status == HTTPStatus.SWITCHING_PROTOCOLS or self._interim > _MOST_INTERIM:
                raise Senseless(f"The answer has the status {status}.")
            self._passing = True
            self.headers = []
            if status == HTTPStatus.CONTINUE:
                self.go_ahead = True
            return
        version = self._parser.get_http_version()
        if status > 599 or version not in {"1.1", "1.0"}:  # noqa: PLR2004
            raise Senseless(f"The answer has the status {status} and the version {version}.")
        codings = [value for name, value in self.headers if name == b"transfer-encoding"]
        if codings and (len(codings) > 1 or codings[0].strip().lower() != b"chunked"):
            raise Senseless("The answer has a transfer coding other than chunked.")
        sized = bool(codings) or any(name == b"content-length" for name, _ in self.headers)
        self.status = status
        self.answered = True
        self._keep = self._parser.should_keep_alive() and not (codings and version == "1.0")
        if self._head:
            self.complete = True  # its length, if it says one, is that of a body which never comes
            self._keep = self._keep and sized
            self._parser = HttpResponseParser(self)
        elif not sized and status not in _BODILESS:
            self._to_the_end = True

    def on_body(self, body: bytes) -> None:
        """Keep a piece; the upstream waits while too much is kept."""
        if self.complete:
            raise Senseless
        self._pieces.append(body)
        before, self._held = self._held, self._held + len(body)
        if before <= _HIGH < self._held and self._transport is not None:
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """Hear that the answer is whole, or that it was only an interim one."""
        if self._passing:
            self._passing = False
        else:
            self.complete = True
