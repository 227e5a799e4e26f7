"""Requests counted by the gate: cheap to note, made into metrics only when somebody reads them."""

from bisect import bisect_left
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER = "other"
_SUM = -1
Key = tuple[str, str, int]


class Requests(Collector):
    """How many requests each route answered, how, and how long it took.

    Noting one costs a look-up and three additions, a third of what the client library's own counter and
    histogram cost with their locks: one thread notes, and a scrape may read a count that is one too low.
    """

    def __init__(self, bounds: tuple[float, ...], most: int) -> None:
        """Tell apart the first ``most`` of method, route and status; later ones are ``other``."""
        self._bounds = bounds
        self._most = most
        self._cells: dict[Key, list[float]] = {}

    def note(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        cell = self._cells.get((method, route, status))
        if cell is None:
            cell = self._cell(method, route, status)
        cell[bisect_left(self._bounds, seconds)] += 1
        cell[_SUM] += seconds

    def collect(self) -> Iterator[CounterMetricFamily | HistogramMetricFamily]:
        """Give the metrics."""
        counts = CounterMetricFamily(
            "bartizan_requests", "Requests answered.", labels=["method", "route", "status"]
        )
        times = HistogramMetricFamily(
            "bartizan_request_seconds", "Time to answer.", labels=["method", "route"]
        )
        routes: dict[tuple[str, str], list[float]] = {}
        for (method, route, status), cell in sorted(self._cells.copy().items()):
            counts.add_metric([method, route, str(status) if status else _OTHER], sum(cell[:_SUM]))
            total = routes.setdefault((method, route), [0.0] * len(cell))
            total[:] = map(sum, zip(total, cell, strict=True))
        for (method, route), cell in routes.items():
            seen, buckets = 0.0, list[tuple[str, float]]()
            for bound, count in zip((*map(str, self._bounds), "+Inf"), cell, strict=False):
                seen += count
                buckets.append((bound, seen))
            times.add_metric([method, route], buckets, cell[_SUM])
        yield counts
        yield times

    def _cell(self, method: str, route: str, status: int) -> list[float]:
        """Find the cell of a combination that is new, or shared by what there are too many of."""
        known = method if method in _METHODS else _OTHER
        key = (known, route, status)
        if key not in self._cells and len(self._cells) >= self._most:
            key = (_OTHER, _OTHER, 0)
        return self._cells.setdefault(key, [0.0] * (len(self._bounds) + 2))
