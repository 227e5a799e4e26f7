"""What a database holds, read by another program than ours."""

import sqlite3
from contextlib import closing
from typing import Any

import asyncpg


async def read(url: str, sql: str) -> list[tuple[Any, ...]]:
    """Ask the database at one of our addresses."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as file:
            return list(file.execute(sql))
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()
