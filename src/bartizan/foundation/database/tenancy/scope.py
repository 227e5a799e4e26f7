"""Which organization's rows the running code may touch."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

from bartizan.foundation.context import current

EVERY = "*"
"""All organizations: the system itself, and stores inside ``across_organizations()``."""

_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_across: ContextVar[bool] = ContextVar("bartizan_across", default=False)


def scope() -> str | None:
    """Give the current organization, ``EVERY``, or none: no caller, or a caller without an organization."""
    if _across.get():
        return EVERY
    caller = current.anyone
    if caller is None:
        return None
    return caller.org_id or (EVERY if caller.kind == "system" else None)


def own() -> str | None:
    """Give the current organization, for a row that names none; none where the scope is wider."""
    org_id = scope()
    return None if org_id == EVERY else org_id


def setting() -> str:
    """Give the scope as PostgreSQL is told it: spliced into SQL, so what is no plain name counts as none."""
    org_id = scope()
    return org_id if org_id == EVERY or (org_id is not None and is_plain(org_id)) else ""


def is_plain(org_id: str) -> bool:
    """Tell whether an id can be spliced into SQL."""
    return _PLAIN.fullmatch(org_id) is not None


@contextmanager
def across() -> Generator[None]:
    """Lift both walls for the block."""
    token = _across.set(True)
    try:
        yield
    finally:
        _across.reset(token)


def lift() -> bool:
    """Lift both walls until :func:`lower`; true if they stood."""
    if _across.get():
        return False
    _across.set(True)
    return True


def lower() -> None:
    """Put the walls back after :func:`lift`."""
    _across.set(False)
