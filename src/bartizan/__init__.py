"""Bartizan: the enterprise layer for Python web applications.

Names exported here are the public API; everything else may change in any release. They are loaded
when first used, so that the command line starts without the web framework.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bartizan.access.rbac import require_permission
    from bartizan.doors.frameworks import attach, wrap
    from bartizan.doors.guard.policy import public, requires
    from bartizan.foundation.capability import Event
    from bartizan.foundation.context import Caller, Permission, current
    from bartizan.foundation.errors import (
        BartizanError,
        Conflict,
        Fault,
        Forbidden,
        Invalid,
        NotFound,
        PaymentRequired,
        Refusal,
        TooMany,
        Unauthenticated,
        Unavailable,
    )
    from bartizan.house import Bartizan, Settings

__all__ = [
    "Bartizan",
    "BartizanError",
    "Caller",
    "Conflict",
    "Event",
    "Fault",
    "Forbidden",
    "Invalid",
    "NotFound",
    "PaymentRequired",
    "Permission",
    "Refusal",
    "Settings",
    "TooMany",
    "Unauthenticated",
    "Unavailable",
    "attach",
    "current",
    "public",
    "require_permission",
    "requires",
    "wrap",
]

_HOMES = {
    "Bartizan": "bartizan.house",
    "Caller": "bartizan.foundation.context",
    "Event": "bartizan.foundation.capability",
    "Permission": "bartizan.foundation.context",
    "Settings": "bartizan.house",
    "attach": "bartizan.doors.frameworks",
    "current": "bartizan.foundation.context",
    "public": "bartizan.doors.guard.policy",
    "require_permission": "bartizan.access.rbac",
    "requires": "bartizan.doors.guard.policy",
    "wrap": "bartizan.doors.frameworks",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        message = f"module 'bartizan' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(_HOMES.get(name, "bartizan.foundation.errors")), name)
