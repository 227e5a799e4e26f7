"""Failing closed inside of hosts that would go on without a plugin that fails."""

from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def or_nothing(host: str) -> Generator[None]:
    """End the process if the gate cannot be built: a host may log the error of a plugin and serve without."""
    try:
        yield
    except Exception as error:
        message = f"Bartizan could not be put in front of {host}, so nothing is served.\n{error}"
        raise SystemExit(message) from error
