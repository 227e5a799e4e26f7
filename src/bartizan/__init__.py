"""Bartizan: the enterprise layer for Python web applications.

Names exported here are the public API; everything else may change in any release. They are loaded
when first used, so that the command line starts without the web framework.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bartizan.doors.frameworks import attach, wrap
    from bartizan.foundation.context import Permission, current
    from bartizan.foundation.errors import BartizanError, Fault, Refusal
    from bartizan.house import Bartizan, Settings

__version__ = "0.1.0"
__all__ = [
    "Bartizan",
    "BartizanError",
    "Fault",
    "Permission",
    "Refusal",
    "Settings",
    "attach",
    "current",
    "wrap",
]

_HOMES = {
    "Bartizan": "bartizan.house",
    "BartizanError": "bartizan.foundation.errors",
    "Fault": "bartizan.foundation.errors",
    "Permission": "bartizan.foundation.context",
    "Refusal": "bartizan.foundation.errors",
    "Settings": "bartizan.house",
    "attach": "bartizan.doors.frameworks",
    "current": "bartizan.foundation.context",
    "wrap": "bartizan.doors.frameworks",
}


def __getattr__(name: str) -> Any:
    if home := _HOMES.get(name):
        return getattr(import_module(home), name)
    message = f"module 'bartizan' has no attribute {name!r}"
    raise AttributeError(message)
