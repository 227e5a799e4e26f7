"""Keyset pages: stable under inserts, and as quick on page 10,000 as on page 1."""

import base64
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from .errors import Invalid

T = TypeVar("T")
R = TypeVar("R")
_TEXTS = TypeAdapter(list[str])

Limit = Annotated[int, Field(ge=1, le=200, description="How many items a page holds at most.")]
Cursor = Annotated[
    str | None,
    Field(max_length=400, description="Where to go on: `next` of the page before. Opaque."),
]


class Page(BaseModel, Generic[T]):
    """One page of a list, newest first unless the list says otherwise."""

    model_config = ConfigDict(frozen=True)

    items: Sequence[T]
    next: str | None = Field(default=None, description="Cursor of the next page; null on the last.")


def cut(rows: Sequence[R], limit: int, key: Callable[[R], Sequence[Any]]) -> tuple[Sequence[R], str | None]:
    """Cut ``limit + 1`` fetched rows to a page and the cursor of the next one."""
    if len(rows) <= limit:
        return rows, None
    page = rows[:limit]
    return page, encode(key(page[-1]))


def encode(values: Sequence[Any]) -> str:
    """Pack the sort key of the last row into an opaque cursor."""
    text = json.dumps([str(v) for v in values], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str, size: int = 1) -> list[str]:
    """Unpack a cursor into its ``size`` texts; refuses what :func:`encode` did not make."""
    try:
        texts = _TEXTS.validate_json(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), strict=True)
    except ValueError as error:  # also what pydantic and base64 raise
        raise InvalidCursor(field="cursor") from error
    if len(texts) != size:
        raise InvalidCursor(field="cursor")
    return texts


class InvalidCursor(Invalid):
    """The cursor is not one that a page gave; start again without it."""
