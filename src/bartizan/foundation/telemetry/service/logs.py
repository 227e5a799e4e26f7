"""Logs: facts beside a message, with the request, organization and caller they belong to.

Only the loggers below ``bartizan`` are ours. The host's handlers, levels and structlog set-up stay as
they are.
"""

import json
import logging
import sys
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO, cast

import structlog

from bartizan.foundation.context import current
from bartizan.foundation.telemetry.settings import TelemetrySettings

from .redaction import hush, redact

_TREE = "bartizan"
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code != ord("\t")}
_Facts = MutableMapping[str, Any]


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """Give a logger: ``log = telemetry.logger(__name__)``, ``log.info("mail sent", email_id=...)``."""
    within = name if name == _TREE or name.startswith(f"{_TREE}.") else f"{_TREE}.{name}"
    return cast(
        "structlog.stdlib.BoundLogger",
        structlog.wrap_logger(
            logging.getLogger(within),
            processors=[
                structlog.stdlib.filter_by_level,
                structlog.stdlib.PositionalArgumentsFormatter(),
                _place,
                _hand_over,
            ],
            wrapper_class=structlog.stdlib.BoundLogger,
            context_class=dict,
            cache_logger_on_first_use=True,
        ),
    )


def set_up_logs(
    settings: TelemetrySettings, *, production: bool, stream: TextIO | None = None
) -> Callable[[], None]:
    """Write our own logs to ``stream`` (standard error); call the answer to undo it.

    With ``log_format=host`` nothing is written: records go to the host's handlers, the facts in the
    attribute ``bartizan`` of each. Setting up again replaces what was set up before.
    """
    tree = logging.getLogger(_TREE)
    before = (tree.level, tree.propagate)
    for old in [handler for handler in tree.handlers if isinstance(handler, _Handler)]:
        tree.removeHandler(old)
    tree.setLevel(settings.log_level.upper())
    form = settings.log_format
    if form == "auto":
        form = "json" if production else "text"
    tree.propagate = form == "host"
    handler = _Handler(stream or sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text(colors=handler.stream.isatty()))
    if form != "host":
        tree.addHandler(handler)

    def undo() -> None:
        tree.removeHandler(handler)
        tree.setLevel(before[0])
        tree.propagate = before[1]

    return undo


class _Handler(logging.StreamHandler[TextIO]):
    """Known as ours by its class."""


class _Json(logging.Formatter):
    """One JSON object a line, for machines."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_told(record), ensure_ascii=False, default=str)


class _Text(logging.Formatter):
    """One line for people, and the traceback below."""

    def __init__(self, *, colors: bool) -> None:
        super().__init__()
        self._render = structlog.dev.ConsoleRenderer(
            0,  # without padding; the name of this parameter depends on the version
            colors=colors,
            exception_formatter=structlog.dev.plain_traceback,
        )

    def format(self, record: logging.LogRecord) -> str:
        facts = {
            # A line break or a terminal's escape in a value would let it forge other lines.
            key: value if key in {"exception", "stack"} else _harmless(value)
            for key, value in _told(record).items()
        }
        facts["timestamp"] = facts["timestamp"][11:23]
        return str(self._render(None, record.levelname.lower(), facts))


def _told(record: logging.LogRecord) -> dict[str, Any]:
    facts: dict[str, Any] | None = getattr(record, _TREE, None)
    told: dict[str, Any] = {
        "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "event": hush(record.getMessage()),
        "logger": record.name,
        **(redact(_context()) if facts is None else facts),
    }
    if record.exc_info and record.exc_info[0]:
        told["exception"] = hush(logging.Formatter().formatException(record.exc_info))
    if record.stack_info:
        told["stack"] = hush(record.stack_info)
    return told


def _context() -> dict[str, Any]:
    found: dict[str, Any] = {}
    if origin := current.origin:
        found["request_id"] = origin.request_id
    if caller := current.anyone:
        found["caller"] = caller.id
        if caller.org_id:
            found["org_id"] = caller.org_id
    return found


def _place(_logger: Any, _method: str, facts: _Facts) -> _Facts:
    return {**_context(), **facts}


def _hand_over(_logger: Any, _method: str, facts: _Facts) -> tuple[tuple[str], dict[str, Any]]:
    """Hand the facts over in one attribute: a fact called ``name`` would clash with a record's."""
    options = {key: facts.pop(key) for key in ("exc_info", "stack_info") if key in facts}
    event = hush(str(facts.pop("event", "")))
    return (event,), {**options, "extra": {_TREE: redact(facts)}}


def _harmless(value: Any) -> Any:
    return value.translate(_CONTROL) if isinstance(value, str) else value
