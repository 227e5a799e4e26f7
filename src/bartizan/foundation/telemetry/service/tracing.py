"""One span a request, where the host has set up OpenTelemetry; otherwise nothing at all."""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol


class RequestSpan(Protocol):
    """The span of a running request."""

    def route(self, route: str) -> None:
        """Name the route that answers, such as ``/api/v1/users/{user_id}``."""
        ...

    def caller(self, *, request_id: str, caller: str | None = None, org_id: str | None = None) -> None:
        """Say whose request it is."""
        ...

    def answered(self, status: int) -> None:
        """Note the status; 500 and above is a failure of ours."""
        ...


class _NoSpan:
    """Stands where nobody traces."""

    def route(self, route: str) -> None:
        pass

    def caller(self, *, request_id: str, caller: str | None = None, org_id: str | None = None) -> None:
        pass

    def answered(self, status: int) -> None:
        pass


class Tracing:
    """Opens spans. Without ``provider`` the process's own is used, as soon as there is one."""

    def __init__(self, provider: Any = None) -> None:
        self._provider = provider
        self._nothing = _NoSpan()
        self._library: Any = None
        if find_spec("opentelemetry") is not None:
            self._library = import_module("bartizan.foundation.telemetry.backends.otel")

    @property
    def active(self) -> bool:
        """Whether anybody traces."""
        return self._library is not None and bool(self._library.active(self._provider))

    @contextmanager
    def request(
        self, *, method: str, path: str, scheme: str, headers: Iterable[tuple[bytes, bytes]]
    ) -> Generator[RequestSpan]:
        """Open the span of a request, below the one that its ``traceparent`` header names."""
        if self._library is None or not self._library.active(self._provider):
            yield self._nothing
            return
        with self._library.request(self._provider, method, path, scheme, headers) as span:
            yield span

    @contextmanager
    def span(self, name: str, **attributes: str | float | bool) -> Generator[None]:
        """Open a span for a piece of work."""
        if self._library is None or not self._library.active(self._provider):
            yield
            return
        with self._library.work(self._provider, name, attributes):
            yield
