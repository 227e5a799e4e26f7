"""A body is read once, up to a size and a depth, before anything parses it."""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from bartizan.foundation.errors import Invalid

from .problems import document, refusal

Message = MutableMapping[str, Any]
_DEEPEST = 32
_ESCAPED = re.compile(rb"\\(?:u([0-9A-Fa-f]{4})|.)", re.DOTALL)
_HIGH, _LOW = range(0xD800, 0xDC00), range(0xDC00, 0xE000)
_OPEN, _CLOSE, _QUOTE, _ESCAPE = frozenset(b"[{"), frozenset(b"]}"), ord('"'), ord("\\")


class BodyTooDeep(Invalid):
    """The JSON of the body is nested deeper than 32 levels."""


class NoContentType(Invalid):
    """The body does not say what it is: send `Content-Type: application/json`."""


class NotText(Invalid):
    """A text holds what nothing can store: a NUL character, or half of a surrogate pair."""


class TooLarge(Exception):
    """The body grew past its limit while it was being read."""


def too_large(limit: int) -> dict[str, Any]:
    """Say that the body is larger than ``limit`` bytes."""
    title = "The request body is too large."
    detail = f"{title} At most {limit:,} bytes are taken here."
    return document(status=413, code="body-too-large", title=title, detail=detail, facts={"limit": limit})


def depth(body: bytes) -> int:
    """Count how deep the JSON in ``body`` is nested, without parsing it."""
    level = deepest = 0
    quoted = escaped = False
    for byte in body:
        if quoted:
            if escaped:
                escaped = False
            elif byte == _ESCAPE:
                escaped = True
            elif byte == _QUOTE:
                quoted = False
        elif byte == _QUOTE:
            quoted = True
        elif byte in _OPEN:
            level += 1
            deepest = max(deepest, level)
        elif byte in _CLOSE:
            level -= 1
    return deepest


def is_text(body: bytes) -> bool:
    """Tell whether the strings of JSON are text: no NUL, no lone surrogate (RFC 8259, section 8.2)."""
    half = -1  # where the second half of a pair has to begin
    for found in _ESCAPED.finditer(body) if b"\\u" in body else ():
        code = int(found[1], 16) if found[1] else -1
        if (half == found.start()) != (code in _LOW) or code == 0 or (half >= 0 and half != found.start()):
            return False
        half = found.end() if code in _HIGH else -1
    return half < 0


class Limited:
    """Counts the bytes of a body as they arrive; raises :class:`TooLarge` past ``limit`` and remembers it."""

    def __init__(self, receive: Receive, limit: int) -> None:
        """Read from ``receive``."""
        self._receive = receive
        self._left = limit
        self.exceeded = False

    async def __call__(self) -> Message:
        """Give the next piece of the body."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                self.exceeded = True
                raise TooLarge
        return message


class Bodies:
    """Reads the small bodies of our own API whole, and refuses JSON that is nested to do harm."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand in front of ``app``; the gate before us has limited the size."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and (field := _spoilt(scope)):
            await refusal(NotText(field=field))(scope, receive, send)
            return
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            await self._app(scope, receive, send)
            return
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        if body and not _kind(scope):
            await refusal(NoContentType(field="content-type"))(scope, receive, send)
            return
        if not (is_text(bytes(body)) if _is_json(scope) else b"%00" not in body):
            await refusal(NotText(field="body"))(scope, receive, send)
            return
        if _is_json(scope) and len(body) > _DEEPEST and depth(bytes(body)) > _DEEPEST:
            await refusal(BodyTooDeep(field="body"))(scope, receive, send)
            return
        await self._app(scope, _replay(bytes(body), receive), send)


def _spoilt(scope: Scope) -> str | None:
    """Name the part of an address that holds a NUL."""
    if "\0" in scope["path"]:
        return "path"
    return "query" if b"%00" in scope.get("query_string", b"") else None


def _is_json(scope: Scope) -> bool:
    return b"json" in _kind(scope)


def _kind(scope: Scope) -> bytes:
    kinds: list[bytes] = [value for name, value in scope["headers"] if name == b"content-type"]
    return kinds[0].strip().lower() if kinds else b""


def _replay(body: bytes, receive: Receive) -> Callable[[], Awaitable[Message]]:
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


__all__ = ["Bodies", "BodyTooDeep", "Limited", "NotText", "TooLarge", "depth", "is_text", "too_large"]
