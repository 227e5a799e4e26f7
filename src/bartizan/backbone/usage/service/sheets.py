"""CSV that a spreadsheet shows and never runs."""

import csv
import io
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from datetime import datetime

from pydantic import BaseModel

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_LINES = 200


async def lines(columns: Sequence[str], items: AsyncIterable[BaseModel]) -> AsyncGenerator[str]:
    """Write a heading, then a line for each item (RFC 4180); some lines at a time."""
    text = io.StringIO()
    write = csv.writer(text).writerow
    write(columns)
    count = 0
    async for item in items:
        write([_cell(getattr(item, column)) for column in columns])
        count += 1
        if count % _LINES == 0:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def _cell(value: object) -> object:
    """Write a value; a text that a spreadsheet would take for a formula gets an apostrophe in front."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
