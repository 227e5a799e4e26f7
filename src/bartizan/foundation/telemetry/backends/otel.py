"""Spans by OpenTelemetry's API; the host brings the SDK, the exporter and the sampling."""

from collections.abc import Generator, Iterable, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.propagate import extract

_NAME = "bartizan"
_FAILED = 500
_TRACE_HEADERS = frozenset({b"traceparent", b"tracestate", b"baggage", b"b3"})


class Span:
    """The span of a request, by the HTTP semantic conventions 1.23."""

    def __init__(self, span: trace.Span, method: str) -> None:
        self._span = span
        self._method = method

    def route(self, route: str) -> None:
        """Name the route, which names the span."""
        self._span.update_name(f"{self._method} {route}")
        self._span.set_attribute("http.route", route)

    def caller(self, *, request_id: str, caller: str | None = None, org_id: str | None = None) -> None:
        """Say whose request it is, by ids only."""
        facts = {"bartizan.request_id": request_id, "enduser.id": caller, "bartizan.org_id": org_id}
        self._span.set_attributes({name: value for name, value in facts.items() if value})

    def answered(self, status: int) -> None:
        """Note the status."""
        self._span.set_attribute("http.response.status_code", status)
        if status >= _FAILED:
            self._span.set_status(trace.StatusCode.ERROR)


def active(provider: trace.TracerProvider | None) -> bool:
    """Tell whether anybody traces; without an SDK the process has only a proxy."""
    return provider is not None or not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


@contextmanager
def request(
    provider: trace.TracerProvider | None,
    method: str,
    path: str,
    scheme: str,
    headers: Iterable[tuple[bytes, bytes]],
) -> Generator[Span]:
    """Open the span of a request."""
    carrier = {
        name.decode("latin-1"): value.decode("latin-1") for name, value in headers if name in _TRACE_HEADERS
    }
    with trace.get_tracer(_NAME, tracer_provider=provider).start_as_current_span(
        method,
        context=extract(carrier),
        kind=trace.SpanKind.SERVER,
        attributes={"http.request.method": method, "url.path": path, "url.scheme": scheme},
    ) as span:
        yield Span(span, method)


def work(
    provider: trace.TracerProvider | None, name: str, attributes: Mapping[str, Any]
) -> AbstractContextManager[trace.Span]:
    """Open a span for a piece of work."""
    return trace.get_tracer(_NAME, tracer_provider=provider).start_as_current_span(
        name, attributes=attributes
    )
