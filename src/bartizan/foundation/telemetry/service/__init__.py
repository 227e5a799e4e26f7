"""Logs without secrets, metrics without endless labels, and one span a request."""

from .logs import logger, set_up_logs
from .metrics import Counter, Histogram, Metrics
from .redaction import hush, redact
from .tracing import RequestSpan, Tracing

__all__ = [
    "Counter",
    "Histogram",
    "Metrics",
    "RequestSpan",
    "Tracing",
    "hush",
    "logger",
    "redact",
    "set_up_logs",
]
