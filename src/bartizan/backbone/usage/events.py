"""What this room announces."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from bartizan.foundation.capability import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaNeared(Event):
    """An organization has used most of a quota; told once for each period and limit."""

    target: ClassVar[str | None] = "resource"

    resource: str
    limit: int
    used: int
    resets_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaExceeded(Event):
    """An organization has used up a quota; told once for each period and limit.

    From now until ``resets_at`` its requests are refused if the quota is hard, and marked if it is soft.
    """

    target: ClassVar[str | None] = "resource"

    resource: str
    limit: int
    used: int
    hard: bool
    resets_at: datetime
