"""What goes into an adoption, and what comes out of looking at one."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from sqlalchemy import Engine, Row
from sqlalchemy.ext.asyncio import AsyncEngine

By = Literal["org", "team"]
"""Who owns a row: an organization or a team."""
Rule = str | Callable[[Row[Any]], str | None]
"""Whose the rows are that were there before: ``"refuse"``, one owner's id, or a function of the row."""
AnyEngine = Engine | AsyncEngine
Engines = AnyEngine | Callable[[], AnyEngine] | Iterable[AnyEngine | Callable[[], AnyEngine]]
"""The engines of the databases that hold the tables, or functions that give them when we start."""


class Terms(TypedDict, total=False):
    """How models are adopted: see :meth:`.Adoption.adopt`."""

    by: By
    existing: Rule
    side_table: bool
    policies: bool
    elsewhere: Iterable[AnyEngine]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that no hook covers, and what to do about it."""

    code: str
    """What kind it is, such as ``adoption.unique``; never changes."""
    subject: str
    """The table, view or function it is about."""
    what: str
    why: str
    cure: str
