"""A request with an Idempotency-Key runs once, and whoever sends it again gets the same answer.

The header of ``draft-ietf-httpapi-idempotency-key-header``. The answer's last byte leaves when the answer is
stored, not before: a client that has the whole of it finds it again.
"""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from bartizan.access.idempotency import Answer, Claim, Idempotency
from bartizan.foundation.context import Caller, current
from bartizan.foundation.errors import Refusal
from bartizan.foundation.telemetry import logger

from .problems import refusal

Run = Callable[[Scope, Receive, Send], Awaitable[None]]
HEADER = b"idempotency-key"
REPLAYED = (b"idempotency-replayed", b"true")
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
# Of one connection (RFC 9110, 7.6.1), of one moment, or a credential: a repeated answer gets its own or none.
_NOT_AGAIN = frozenset(
    {
        b"connection",
        b"date",
        b"idempotency-replayed",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-connection",
        b"server",
        b"server-timing",
        b"set-cookie",
        b"set-cookie2",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"x-request-id",
    }
)
_TRY_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
"""Answers that ask to be asked again, like every 5xx: the key is free for that."""
_SHORTCUTS = frozenset({"http.response.pathsend", "http.response.trailers", "http.response.zerocopysend"})
"""Ways to answer that pass us by; an app that is not offered them sends its body as messages."""
_IN_MEMORY = 1024 * 1024
_PIECE = 256 * 1024
_MOST_HEADERS = 1000


class Idempotent:
    """Runs each keyed request of a caller once: ``await idempotent(caller, scope, receive, send, run)``."""

    def __init__(self, keys: Idempotency) -> None:
        """Remember answers with ``keys``."""
        self._keys = keys
        self._log = logger(__name__)

    def concerns(self, scope: Scope) -> bool:
        """Tell whether a request has a key, and a method that changes things: one short loop."""
        for name, _ in scope["headers"]:
            if name == HEADER:
                return scope["method"] not in SAFE and self._keys.enabled
        return False

    async def __call__(
        self, caller: Caller | None, scope: Scope, receive: Receive, send: Send, run: Run
    ) -> None:
        """Serve one request of ``caller`` by ``run``, or by the answer that it gave before.

        What the room refuses is answered here, as a problem document. A stranger's key means nothing, since
        anybody could send it. ``receive`` has a limit already: what it raises passes through.
        """
        if caller is None or not self.concerns(scope):
            await run(scope, receive, send)
            return
        async with _Body.read(receive) as body:
            if body is None:
                return  # the client left before it had said everything
            try:
                with current.acting_as(caller):
                    key = self._keys.key([value for name, value in scope["headers"] if name == HEADER])
                    found = await self._keys.claim(key, _fingerprint(scope, body.digest))
            except Refusal as error:
                await refusal(error)(scope, receive, send)
                return
            if isinstance(found, Answer):
                await _give(found, send)
            else:
                await self._first(found, _plain(scope), body.again(receive), send, run)

    async def _first(self, claim: Claim, scope: Scope, receive: Receive, send: Send, run: Run) -> None:
        """Run a request and keep its answer; without a whole answer the key is free again."""
        copy = _Copy(send, self._keys.settings.max_answer, lambda answer: self._settle(claim, answer))
        try:
            await run(scope, receive, copy)
        except BaseException:
            if not copy.settled:
                await asyncio.shield(self._settle(claim, None))
            raise
        if not copy.settled:
            await self._settle(claim, None)
            await copy.abandon()

    async def _settle(self, claim: Claim, copy: "_Copy | None") -> None:
        """End the claim. An answer that cannot be stored leaves all the same: what it tells has been done."""
        try:
            if copy is None or copy.status >= HTTPStatus.INTERNAL_SERVER_ERROR or copy.status in _TRY_AGAIN:
                await self._keys.release(claim)
            else:
                await self._keys.keep(claim, copy.answer)
        except Exception:  # noqa: BLE001 - whatever it is, the answer goes on
            self._log.exception("what became of a request with a key could not be stored")


class _Copy:
    """Passes an answer on as it comes, but for its end, which waits until the copy is stored."""

    def __init__(self, send: Send, limit: int, settle: Callable[["_Copy"], Awaitable[None]]) -> None:
        self._send = send
        self._limit = limit
        self._settle = settle
        self._start: Message | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] | None = []
        self._size = 0
        self._length: int | None = None
        self._held: Message | None = None
        self._gone = False
        self.status = 0
        self.settled = False

    @property
    def answer(self) -> Answer | None:
        """The whole answer; none when it was a stream, or too long to be kept."""
        return None if self._parts is None else Answer(self.status, self._headers, b"".join(self._parts))

    async def __call__(self, message: Message) -> None:
        """Take one message from the app."""
        match message["type"]:
            case "http.response.start" if self._start is None and not self.status:
                await self._begin(message)
            case "http.response.body" if not self.settled:
                await self._body(message)
            case _:
                await self._forward(message)

    async def abandon(self) -> None:
        """Pass on what was held back of an answer that will not end."""
        for message in (self._start, self._held):
            if message is not None:
                await self._forward(message)

    async def _begin(self, message: Message) -> None:
        self._start = message
        self.status = message["status"]
        headers = [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
        known = {name.lower(): value for name, value in headers}
        listed = {name.strip().lower() for name in known.get(b"connection", b"").split(b",")}
        self._headers = [pair for pair in headers if pair[0].lower() not in _NOT_AGAIN | listed]
        length = known.get(b"content-length", b"")
        self._length = int(length) if length.isdigit() else None
        stream = known.get(b"content-type", b"").strip().lower().startswith(b"text/event-stream")
        if stream or (self._length or 0) > self._limit or len(headers) > _MOST_HEADERS:
            self._parts = None
            await self._started()

    async def _started(self) -> None:
        start, self._start = self._start, None
        if start is not None:
            await self._forward(start)

    async def _body(self, message: Message) -> None:
        body, more = message.get("body", b""), message.get("more_body", False)
        self._size += len(body)
        if self._parts is not None:
            if self._size > self._limit:
                self._parts = None
            elif body:
                self._parts.append(bytes(body))
        if not more:
            await self._settle(self)
            self.settled = True
        elif not body:
            await self._started()  # which is all that an empty piece can be for
            return
        elif self._size == self._length:
            self._held = message  # the client would take it for the end
            return
        await self._started()
        held, self._held = self._held, None
        if held is not None:
            await self._forward(held)
        await self._forward(message)

    async def _forward(self, message: Message) -> None:
        """Pass a message on; a client that has left does not keep an answer from being stored."""
        if self._gone and self._parts is not None:
            return
        try:
            await self._send(message)
        except OSError:
            self._gone = True
            if self._parts is None or self.settled:
                raise


class _Body:
    """The body of a request, read whole: in memory up to 1 MiB, beyond that in a file without a name."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._size = 0
        self._sum = hashlib.sha256()

    @classmethod
    @asynccontextmanager
    async def read(cls, receive: Receive) -> AsyncGenerator["_Body | None"]:
        """Read it; none if the client leaves meanwhile."""
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
            body = cls(file)
            more = True
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    yield None
                    return
                await body._add(message.get("body", b""))
                more = message.get("more_body", False)
            yield body

    @property
    def digest(self) -> bytes:
        """Its SHA-256."""
        return self._sum.digest()

    def again(self, receive: Receive) -> Receive:
        """Give it to an app once more; after it comes what ``receive`` has."""
        at = 0
        ended = False

        async def again() -> Message:
            nonlocal at, ended
            if ended:
                return await receive()
            piece = await self._piece(at)
            at += len(piece)
            ended = at >= self._size
            return {"type": "http.request", "body": piece, "more_body": not ended}

        return again

    async def _add(self, piece: bytes) -> None:
        self._sum.update(piece)
        self._size += len(piece)
        if self._size <= _IN_MEMORY:
            self._file.write(piece)
        else:
            await asyncio.to_thread(self._file.write, piece)

    async def _piece(self, at: int) -> bytes:
        if self._size <= _IN_MEMORY:
            self._file.seek(0)
            whole: bytes = self._file.read()
            return whole

        def read() -> bytes:
            self._file.seek(at)
            piece: bytes = self._file.read(_PIECE)
            return piece

        return await asyncio.to_thread(read)


def _fingerprint(scope: Scope, digest: bytes) -> bytes:
    """Tell requests apart by method, address, kind and content of the body; each part with its length."""
    path = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogateescape")
    kinds = [value for name, value in scope["headers"] if name == b"content-type"]
    parts = (scope["method"].encode(), path, scope.get("query_string", b""), b"\n".join(kinds), digest)
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8) + part)
    return whole.digest()


def _plain(scope: Scope) -> Scope:
    """Take away the ways to answer that would pass us by."""
    offered: Mapping[str, Any] = scope.get("extensions") or {}
    if _SHORTCUTS.isdisjoint(offered):
        return scope
    kept = {name: value for name, value in offered.items() if name not in _SHORTCUTS}
    return {**scope, "extensions": kept}


async def _give(answer: Answer, send: Send) -> None:
    headers = [*answer.headers, REPLAYED]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})
