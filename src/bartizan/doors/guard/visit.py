"""One request on its way through the gate."""

from collections.abc import Awaitable, Mapping, MutableMapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from starlette.types import Message, Receive, Scope, Send

from bartizan.foundation.context import Caller, Origin

from .callers import NO_CREDENTIALS, NOBODY, Credentials, Known
from .request import Header, dress, value_of

if TYPE_CHECKING:
    from bartizan.backbone.limits import Verdict

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
        "public",
        "receive",
        "scope",
        "started",
        "status",
        "tls",
        "verdict",
    )

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        origin: Origin,
        fields: Mapping[bytes, bytes],
        started: float,
    ) -> None:
        """Begin; ``fields`` holds the first value of each header, ``started`` counts as ``perf_counter``."""
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
        self.public = False
        """Whether everybody gets the same here, so that shared caches may keep it."""
        self.status = 0
        self.known: Known = NOBODY
        self.credentials: Credentials = NO_CREDENTIALS
        self.cookies: list[Header] | None = None
        """Cookies that go with the answer, whoever gives it."""
        self.verdict: Verdict | None = None
        """What the limits said."""
        self.extra: Sequence[Header] = ()
        """What else the answer shall say in its headers."""
        self.started = started
        self.inner: MutableMapping[str, Any] = scope

    @property
    def caller(self) -> Caller | None:
        """Who asks; none when nobody is known."""
        return self.known.caller

    def send(self, message: Message) -> Awaitable[None]:
        """Pass a message to the server, the first one with the headers that every answer carries."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = dress(
                message.get("headers", ()),
                self.origin.request_id,
                ours=self.ours,
                tls=self.tls,
                private=not (self.public or self.ours) and self.known.caller is not None,
            )
            if self.verdict is not None:
                headers += self.verdict.headers()
            headers.append((b"x-response-time", b"%.1fms" % ((perf_counter() - self.started) * 1000)))
            if self.extra:
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
