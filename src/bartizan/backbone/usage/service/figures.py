"""Figures out of counts: sums, means, and percentiles by bands of latency."""

from collections.abc import Iterable, Mapping

from bartizan.backbone.usage.store import Band
from bartizan.backbone.usage.types import Figures

_CLIENT_ERROR, _SERVER_ERROR = 400, 500


def figures(bands: Iterable[Band]) -> Figures:
    """Add bands up."""
    requests = micros = client_errors = server_errors = 0
    spread: dict[int, tuple[int, int]] = {}
    for found in bands:
        requests += found.requests
        micros += found.micros
        if found.status >= _SERVER_ERROR:
            server_errors += found.requests
        elif found.status >= _CLIENT_ERROR:
            client_errors += found.requests
        count, time = spread.get(found.band, (0, 0))
        spread[found.band] = count + found.requests, time + found.micros
    return Figures(
        requests=requests,
        client_errors=client_errors,
        server_errors=server_errors,
        average_ms=milliseconds(micros / requests) if requests else None,
        p50_ms=percentile(spread, 0.5),
        p95_ms=percentile(spread, 0.95),
        p99_ms=percentile(spread, 0.99),
    )


def percentile(spread: Mapping[int, tuple[int, int]], share: float) -> float | None:
    """Estimate within how many milliseconds a share of all requests was answered.

    ``spread`` gives requests and microseconds by band. Within a band they are taken to lie evenly around its
    mean, which is known.
    """
    rank = share * sum(count for count, _ in spread.values())
    before = 0
    for band, (count, micros) in sorted(spread.items()):
        if before + count >= rank and count:
            lower, upper = 2 ** ((band - 1) / 2) if band else 0.0, 2 ** (band / 2)
            mean = micros / count
            reach = min(mean - lower, upper - mean)
            return milliseconds(mean + (2 * (rank - before) / count - 1) * max(0.0, reach))
        before += count
    return None


def milliseconds(micros: float) -> float:
    """Turn microseconds into milliseconds as they are shown."""
    return round(micros / 1000, 3)
