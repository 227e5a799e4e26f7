"""Metrics for Prometheus; every house has a registry of its own, and no label can grow without end."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import prometheus_client
from prometheus_client.exposition import choose_encoder

from .requests import Requests

M = TypeVar("M", prometheus_client.Counter, prometheus_client.Histogram)

_MOST_SERIES = 1000
_OTHER = "other"
_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SLOW = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0)


class _Series(Generic[M]):
    """The label values of one metric. The first thousand are told apart, later ones are ``other``."""

    def __init__(self, metric: M, labels: int, most: int) -> None:
        self._metric: M = metric
        self._children: dict[tuple[str, ...], M] = {}
        self._rest = (_OTHER,) * labels
        self._most = most

    def of(self, values: tuple[str, ...]) -> M:
        child = self._children.get(values)
        if child is None:
            if len(self._children) >= self._most:
                values = self._rest
            child = self._children.setdefault(
                values, self._metric.labels(*values) if values else self._metric
            )
        return child


class Counter:
    """A number that only grows."""

    def __init__(self, series: _Series[prometheus_client.Counter]) -> None:
        self._series = series

    def add(self, *labels: str, by: float = 1) -> None:
        """Count one more, or ``by``; ``labels`` come in the order they were declared."""
        self._series.of(labels).inc(by)


class Histogram:
    """How long something takes, in seconds."""

    def __init__(self, series: _Series[prometheus_client.Histogram]) -> None:
        self._series = series

    def observe(self, seconds: float, *labels: str) -> None:
        """Note one measurement."""
        self._series.of(labels).observe(seconds)


class Metrics:
    """What the house counts, and what rooms add to it."""

    def __init__(self) -> None:
        self.registry = prometheus_client.CollectorRegistry()
        self._requests = Requests(_QUICK, _MOST_SERIES)
        self.registry.register(self._requests)
        self._jobs = self.counter("jobs", "Jobs finished.", ["kind", "outcome"])
        self._job_seconds = self.histogram("job_seconds", "Time a job ran.", ["kind"], buckets=_SLOW)
        self._audited = self.counter("audit_events", "Audit events written.", ["outcome"])
        self._sign_ins = self.counter("sign_ins", "Attempts to sign in.", ["method", "outcome"])
        self._outbound = self.counter("outbound_requests", "Requests to other servers.", ["outcome"])
        self._outbound_seconds = self.histogram("outbound_seconds", "Time others took to answer.")

    def counter(
        self, name: str, help_text: str, labels: Sequence[str] = (), *, most: int = _MOST_SERIES
    ) -> Counter:
        """Make ``bartizan_<name>_total``; at most ``most`` combinations of labels are told apart."""
        metric = prometheus_client.Counter(f"bartizan_{name}", help_text, labels, registry=self.registry)
        return Counter(_Series(metric, len(labels), most))

    def histogram(
        self,
        name: str,
        help_text: str,
        labels: Sequence[str] = (),
        *,
        buckets: Sequence[float] = _QUICK,
        most: int = _MOST_SERIES,
    ) -> Histogram:
        """Make the histogram ``bartizan_<name>``."""
        metric = prometheus_client.Histogram(
            f"bartizan_{name}", help_text, labels, buckets=buckets, registry=self.registry
        )
        return Histogram(_Series(metric, len(labels), most))

    def gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Show a number that goes up and down: ``read`` is asked at each scrape."""
        prometheus_client.Gauge(f"bartizan_{name}", help_text, registry=self.registry).set_function(read)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Note a request by its route, such as ``/api/v1/users/{user_id}``: never by its path."""
        self._requests.note(method, route, status, seconds)

    def job(self, *, kind: str, outcome: str, seconds: float) -> None:
        """Note a job that has run."""
        self._jobs.add(kind, outcome)
        self._job_seconds.observe(seconds, kind)

    def audited(self, outcome: str, count: int = 1) -> None:
        """Note audit events."""
        self._audited.add(outcome, by=count)

    def signed_in(self, *, method: str, outcome: str) -> None:
        """Note an attempt to sign in."""
        self._sign_ins.add(method, outcome)

    def outbound(self, *, outcome: str, seconds: float) -> None:
        """Note a request of ours to another server; which one is not a label, since tenants choose it."""
        self._outbound.add(outcome)
        self._outbound_seconds.observe(seconds)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """Give what ``/metrics`` answers, and its content type: OpenMetrics where ``accept`` asks for it."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type
