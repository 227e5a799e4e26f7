"""WSGI applications, such as Flask's and Django's, behind the gate (PEP 3333)."""

import asyncio
import contextvars
import io
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from inspect import Parameter, signature
from types import TracebackType
from typing import Any, Protocol, TypeAlias

from starlette.types import Message, Receive, Scope, Send

Headers: TypeAlias = list[tuple[str, str]]
Exc: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None]
_ARGUMENTS = 2
_NO_BODY = frozenset({b"content-length", b"transfer-encoding"})


class WsgiApp(Protocol):
    """What PEP 3333 calls an application."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any], /) -> Iterable[bytes]:
        """Answer one request."""
        ...


class Disconnected(ConnectionError):
    """Whoever asked has gone, so nobody reads what the application still has to say."""


def speaks_wsgi(app: Any) -> bool:
    """Tell a WSGI application by the two arguments that it takes."""
    try:
        parameters = signature(app).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = {Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD}
    needed = [p for p in parameters if p.default is Parameter.empty and p.kind in positional]
    return len(needed) == _ARGUMENTS


class Wsgi:
    """An ASGI face for a WSGI application.

    Each request has a thread of its own, at most ``threads`` at once; the others wait. Bodies stream both
    ways without being kept: the application waits for the client and the client for the application. What is
    ambient, such as ``bartizan.current``, is there in the application's thread. A client that has gone ends
    the answer at its next block. ``REMOTE_USER`` is there only if the scope has a ``remote_user``, which no
    client can set.
    """

    def __init__(self, app: WsgiApp, *, threads: int = 40) -> None:
        """Serve ``app``."""
        self.wsgi = app
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="wsgi")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; there are no websockets in WSGI."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
        elif scope["type"] == "http":
            await _Exchange(self.wsgi, scope, receive, send).run(self._threads)
        else:
            await self._live(receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._threads.shutdown(wait=False, cancel_futures=True)
        await send({"type": "lifespan.shutdown.complete"})


class _Body(io.RawIOBase):
    """The request's body, as the application's thread reads it: one message of the server at a time."""

    def __init__(self, more: Callable[[], bytes]) -> None:
        self._more = more
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = memoryview(self._more())
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


class _Exchange:
    """One request and its answer, half on the loop and half in a thread."""

    def __init__(self, app: WsgiApp, scope: Scope, receive: Receive, send: Send) -> None:
        self._app = app
        self._scope = scope
        self._receive = receive
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._read = asyncio.Event()
        self._gone = False
        self._start: Message | None = None
        self._started = False
        self._ended = False
        self._length: int | None = None

    async def run(self, threads: ThreadPoolExecutor) -> None:
        """Call the application in a thread, and look out for a client that leaves."""
        if not any(name in _NO_BODY for name, _ in self._scope["headers"]):
            await self._next()
        watch = asyncio.create_task(self._watch())
        context = contextvars.copy_context()
        try:
            await self._loop.run_in_executor(threads, context.run, self._serve)
        except Disconnected:
            pass
        finally:
            self._gone = True
            watch.cancel()

    async def _watch(self) -> None:
        await self._read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True

    async def _next(self) -> bytes:
        """Take the next piece of the body; empty at its end."""
        while not self._read.is_set():
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._gone = True
                raise Disconnected
            if not message.get("more_body", False):
                self._read.set()
            if body := message.get("body", b""):
                return bytes(body)
        return b""

    def _more(self) -> bytes:
        return asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()

    # In the application's thread

    def _serve(self) -> None:
        blocks = self._app(self._environ(), self._start_response)
        try:
            for block in blocks:
                if block:
                    self._write(block)
            self._write(b"", last=True)
        finally:
            close: Callable[[], None] | None = getattr(blocks, "close", None)
            if close is not None:
                close()

    def _start_response(
        self, status: str, headers: Headers, exc_info: Exc | None = None
    ) -> Callable[[bytes], None]:
        if exc_info is not None and self._started:
            raise exc_info[1].with_traceback(exc_info[2])
        if exc_info is None and self._start is not None:
            message = "start_response was called twice."
            raise AssertionError(message)
        lengths = [value for name, value in headers if name.lower() == "content-length"]
        self._length = int(lengths[0]) if lengths and lengths[0].isdigit() else None
        self._start = {
            "type": "http.response.start",
            "status": int(status.split(" ", 1)[0]),
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        }
        return self._write

    def _write(self, block: bytes, *, last: bool = False) -> None:
        if self._ended:
            return
        if self._start is None:
            message = "The application answered without calling start_response."
            raise AssertionError(message)
        if self._gone:
            raise Disconnected
        messages = [] if self._started else [self._start]
        if self._length is not None:
            self._length -= len(block)
        self._ended = last or self._length == 0
        messages.append({"type": "http.response.body", "body": block, "more_body": not self._ended})
        self._started = True
        sent: Future[None] = asyncio.run_coroutine_threadsafe(self._deliver(messages), self._loop)
        sent.result()

    async def _deliver(self, messages: Sequence[Message]) -> None:
        for message in messages:
            await self._send(message)

    def _environ(self) -> dict[str, Any]:
        scope = self._scope
        root: str = scope.get("root_path", "")
        path: str = scope["path"]
        server = scope.get("server") or ("localhost", 80)
        environ: dict[str, Any] = {
            "REQUEST_METHOD": scope["method"],
            "SCRIPT_NAME": _native(root),
            "PATH_INFO": _native(path.removeprefix(root) if root else path),
            "QUERY_STRING": scope.get("query_string", b"").decode("latin-1"),
            "SERVER_NAME": str(server[0]),
            "SERVER_PORT": str(server[1] or 0),
            "SERVER_PROTOCOL": f"HTTP/{scope.get('http_version', '1.1')}",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": scope.get("scheme", "http"),
            "wsgi.input": io.BufferedReader(_Body(self._more)),
            "wsgi.input_terminated": True,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        if client := scope.get("client"):
            environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = str(client[0]), str(client[1])
        if isinstance(user := scope.get("remote_user"), str):
            environ["REMOTE_USER"] = user
        for name, value in scope["headers"]:
            _header(environ, name, value.decode("latin-1"))
        return environ


def _header(environ: dict[str, Any], name: bytes, value: str) -> None:
    if b"_" in name:
        return  # in an environ it could not be told from the name with a hyphen, which somebody may trust
    key = name.decode("latin-1").upper().replace("-", "_")
    if key not in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
        key = f"HTTP_{key}"
    if key in environ:
        value = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{value}"
    environ[key] = value


def _native(text: str) -> str:
    """Write a text as PEP 3333 wants it: its bytes, each as one character."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")
