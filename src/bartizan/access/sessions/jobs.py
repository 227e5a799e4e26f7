"""Work done on a schedule."""

from collections.abc import Callable, Mapping
from typing import Any

from .service import Sessions

JOBS: Mapping[str, Callable[..., Any]] = {"sessions.purge": Sessions.purge}
"""Job kinds and what does them; once an hour is enough."""
