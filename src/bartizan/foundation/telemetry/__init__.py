"""What an operator sees: logs, metrics and traces."""

from .service import Counter, Histogram, Metrics, RequestSpan, Tracing, hush, logger, redact, set_up_logs
from .settings import TelemetrySettings

__all__ = [
    "Counter",
    "Histogram",
    "Metrics",
    "RequestSpan",
    "TelemetrySettings",
    "Tracing",
    "hush",
    "logger",
    "redact",
    "set_up_logs",
]
