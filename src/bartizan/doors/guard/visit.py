"""One request on its way through the gate."""

from collections.abc import Awaitable, Mapping, MutableMapping
from typing import Any, cast

from starlette.types import Message, Receive, Scope, Send

from bartizan.foundation.context import Caller, Origin

from .callers import NO_CREDENTIALS, NOBODY, Credentials, Known
from .request import Header, dress, value_of

TLS = frozenset({"https", "wss"})
_PLATFORM, _ELSEWHERE = "platform", "app"


class Visit:
    """What is known of a request, and what has been answered so far."""

    __slots__ = (
        "_send",
        "cookies",
        "credentials",
        "extra",
        "fields",
        "headers",
        "inner",
        "known",
        "method",
        "origin",
        "ours",
        "path",
        "receive",
        "scope",
        "status",
        "tls",
    )

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, *, origin: Origin, fields: Mapping[bytes, bytes]
    ) -> None:
        """Begin; ``fields`` holds the first value of each header."""
        self.scope = scope
        self.receive = receive
        self._send = send
        self.origin = origin
        self.fields = fields
        self.headers: list[Header] = scope["headers"]
        self.method: str = scope.get("method", "GET")  # a websocket has none and counts as a look
        self.path: str = scope["path"]  # decoded: what the app routes by
        self.tls = scope["scheme"] in TLS
        self.ours = False
        self.status = 0
        self.known: Known = NOBODY
        self.credentials: Credentials = NO_CREDENTIALS
        self.cookies: list[Header] | None = None
        """Cookies that go with the answer, whoever gives it."""
        self.extra: tuple[Header, ...] = ()
        """What limits say in the headers of the answer."""
        self.inner: MutableMapping[str, Any] = scope

    @property
    def caller(self) -> Caller | None:
        """Who asks; none when nobody is known."""
        return self.known.caller

    def send(self, message: Message) -> Awaitable[None]:
        """Pass a message to the server, the first one with the headers that every answer carries."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = dress(message.get("headers", ()), self.origin.request_id, ours=self.ours, tls=self.tls)
            headers += self.extra
            if self.cookies:
                headers += self.cookies
            message["headers"] = headers
        return self._send(message)

    @property
    def navigates(self) -> bool:
        """Whether a person follows a link, rather than a program calling."""
        if self.method not in {"GET", "HEAD"}:
            return False
        accepts = "text/html" in (value_of(self.headers, b"accept") or "")
        return accepts and value_of(self.headers, b"sec-fetch-mode") in {None, "navigate"}

    @property
    def route(self) -> str:
        """The template of the route that answered, as ``/api/notes/{note_id}``; never the path itself."""
        scope = self.inner
        fastapi = scope.get("fastapi")
        if fastapi is not None and isinstance(fastapi, Mapping):
            context = cast("Mapping[str, Any]", fastapi).get("effective_route_context")
            template = getattr(context, "path_format", None)
            if isinstance(template, str):
                return template
        if (route := scope.get("route")) is not None:
            template = getattr(route, "path", None)
            if isinstance(template, str):
                return template
        return _PLATFORM if self.ours else _ELSEWHERE
