"""One request on its way through the gate."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, cast

from starlette.types import Message, Receive, Scope, Send

from bartizan.foundation.context import Caller, Origin

from .callers import Credential
from .headers import Header, dressed, value_of

_PLATFORM, _ELSEWHERE = "platform", "app"


@dataclass(slots=True)
class Visit:
    """What is known of a request, and what has been answered so far."""

    scope: Scope
    receive: Receive
    _send: Send
    origin: Origin
    tls: bool
    ours: bool
    status: int = 0
    caller: Caller | None = None
    credential: Credential | None = None
    cookies: list[Header] = field(default_factory=list[Header])
    """Cookies that go with the answer, whoever gives it."""
    inner: MutableMapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def headers(self) -> list[Header]:
        """The headers as the server gave them."""
        headers: list[Header] = self.scope["headers"]
        return headers

    @property
    def method(self) -> str:
        """The method; a websocket has none and counts as a look."""
        return str(self.scope.get("method", "GET"))

    @property
    def path(self) -> str:
        """The path, decoded: what the app routes by."""
        return str(self.scope["path"])

    async def send(self, message: Message) -> None:
        """Pass a message to the server, the first one with the headers that every answer carries."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = dressed(
                [*message.get("headers", ()), *self.cookies],
                request_id=self.origin.request_id,
                ours=self.ours,
                tls=self.tls,
            )
        await self._send(message)

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
        known = cast("Mapping[str, Any]", fastapi if isinstance(fastapi, Mapping) else {})
        context = known.get("effective_route_context")
        template = getattr(context, "path_format", None) or getattr(scope.get("route"), "path", None)
        if isinstance(template, str):
            return template
        return _PLATFORM if self.ours else _ELSEWHERE
