"""Work done on a schedule."""

from collections.abc import Callable, Mapping
from typing import Any

from .service import Idempotency

JOBS: Mapping[str, Callable[..., Any]] = {"idempotency.prune": Idempotency.prune}
"""Job kinds and what does them; once an hour is enough."""
