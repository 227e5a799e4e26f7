"""The client for every request to another server."""

import json as json_module
import re
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol, cast

from bartizan.foundation.clock import Clock
from bartizan.foundation.errors import BartizanError, Invalid, Unavailable
from bartizan.foundation.http.errors import MissingExtra
from bartizan.foundation.http.settings import HttpSettings
from bartizan.foundation.http.types import Answer, Client, Resolver, Sent
from bartizan.foundation.telemetry import Metrics

from .resilience import Breakers, Retry
from .wall import Wall

_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_LATER = frozenset({429, 502, 503, 504})
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"})
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class _Backend(Protocol):
    def connect(self, settings: HttpSettings, wall: Wall, resolver: Resolver | None) -> Client: ...


class _Later(Unavailable):
    """The other server asks to come back later."""

    def __init__(self, answer: Answer) -> None:
        asked = answer.header("retry-after") or ""
        super().__init__(retry_after=int(asked) if re.fullmatch("[0-9]{1,6}", asked) else None)
        self.answer = answer


class Outbound:
    """Calls other servers: never our own network, never longer, larger or more often than it may.

    It follows no redirects, keeps no cookies, checks certificates and ignores proxies named in the
    environment. ``BARTIZAN_HTTP__*`` turns it.
    """

    def __init__(
        self,
        settings: HttpSettings | None = None,
        *,
        clock: Clock | None = None,
        metrics: Metrics | None = None,
        resolver: Resolver | None = None,
        retry: Retry | None = None,
    ) -> None:
        self._settings = settings or HttpSettings()
        self._clock = clock or Clock()
        self._metrics = metrics
        self._resolver = resolver
        self._retry = retry or Retry(attempts=self._settings.attempts)
        self._wall = Wall(self._settings.allow)
        self._breakers = Breakers(
            clock=self._clock,
            failures=self._settings.breaker_failures,
            seconds=self._settings.breaker_seconds,
        )
        self._client: Client | None = None

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        json: Any = None,
        timeout: float | None = None,  # noqa: ASYNC109 - it is the whole exchange's, attempts included
        max_bytes: int | None = None,
        cut: bool = False,
        once: bool = False,
    ) -> Answer:
        """Send a request and give the answer, whatever its status.

        ``body`` is sent as it is; ``json`` is written for you. Methods that may be repeated (RFC 9110,
        9.2.2) are tried again after a failure or a 429, 502, 503 or 504, unless ``once``. An answer larger
        than ``max_bytes`` is refused, or ``cut``. Seconds and bytes default to the settings.

        Raises :class:`DestinationRefused`, :class:`Unreachable`, :class:`TookTooLong` (each attempt may
        take ``timeout``), :class:`AnswerTooLarge`, :class:`CircuitOpen`, and :class:`MissingExtra`.
        """
        host = self._wall.check_url(url)
        sent = Sent(
            method=method.upper(),
            url=url,
            headers=_headers(headers or {}, has_json=json is not None),
            body=json_module.dumps(json, separators=(",", ":")).encode() if json is not None else body,
            timeout=timeout or self._settings.timeout,
            max_bytes=max_bytes or self._settings.max_bytes,
            cut=cut,
        )
        if once or sent.method not in _REPEATABLE:
            return await self._send(host, sent)

        async def attempt() -> Answer:
            answer = await self._send(host, sent)
            if answer.status in _LATER:
                raise _Later(answer)
            return answer

        try:
            return await self._retry.call(attempt)
        except _Later as later:
            return later.answer

    async def get(self, url: str, **options: Any) -> Answer:
        """Send a GET; see :meth:`request`."""
        return await self.request("GET", url, **options)

    async def post(self, url: str, **options: Any) -> Answer:
        """Send a POST, once; see :meth:`request`."""
        return await self.request("POST", url, **options)

    async def close(self) -> None:
        """Close every connection."""
        client, self._client = self._client, None
        if client:
            await client.close()

    async def _send(self, host: str, sent: Sent) -> Answer:
        if self._client is None:
            self._client = self._connect()
        started, outcome = self._clock.monotonic(), "cancelled"
        try:
            async with self._breakers.of(host).using():
                answer = await self._client.send(sent)
        except BartizanError as error:
            outcome = error.code
            raise
        else:
            outcome = "answered"
            return answer
        finally:
            if self._metrics:
                self._metrics.outbound(outcome=outcome, seconds=self._clock.monotonic() - started)

    def _connect(self) -> Client:
        if find_spec("aiohttp") is None:
            message = 'Requests to other servers need aiohttp: pip install "bartizan[http]"'
            raise MissingExtra(message, extra="http")
        backend = cast("_Backend", import_module("bartizan.foundation.http.backends.aio"))
        return backend.connect(self._settings, self._wall, self._resolver)


def _headers(given: Mapping[str, str], *, has_json: bool) -> list[tuple[str, str]]:
    """Check that no header can end itself and begin another (RFC 9110, 5.5)."""
    for name, value in given.items():
        if not _TOKEN.fullmatch(name) or any(character in value for character in "\r\n\0"):
            raise Invalid("This is not a header.", field="headers")
        if name.lower() in _OURS:
            message = f"{name} is not for callers to set."
            raise Invalid(message, field="headers")
    headers = list(given.items())
    if has_json and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    return headers
