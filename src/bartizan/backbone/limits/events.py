"""What this room announces."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from bartizan.foundation.capability import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitChanged(Event):
    """A limit was set for an organization, or for one of its people, keys or routes."""

    target: ClassVar[str | None] = "limit_id"

    limit_id: str
    scope: str
    subject: str | None
    rate: str
    before: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRemoved(Event):
    """A limit was taken away, so that the one from the settings holds again."""

    target: ClassVar[str | None] = "limit_id"

    limit_id: str
    scope: str
    subject: str | None
    rate: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsExceeded(Event):
    """A limit refused many requests within one minute; told at most once a minute for a scope."""

    outcome: ClassVar = "denied"

    scope: str
    refused: int
    minute: datetime
    threshold: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsDegraded(Event):
    """Redis does not answer: limits are counted in this process alone, or refuse, as the settings say."""

    outcome: ClassVar = "failure"

    process: str
    closed: tuple[str, ...]
    """The scopes that refuse meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsRecovered(Event):
    """Redis answers again: limits are counted for all processes together."""

    process: str
    seconds: int
    """How long it was gone."""
