"""What this room announces."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from bartizan.foundation.capability import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyIssued(Event):
    """An API key was issued."""

    target: ClassVar[str | None] = "key_id"

    key_id: str
    label: str
    owner_id: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyUpdated(Event):
    """An API key was renamed, or can do less or other things than before."""

    target: ClassVar[str | None] = "key_id"

    key_id: str
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyRotated(Event):
    """An API key was replaced by another, and stops working at ``until``."""

    target: ClassVar[str | None] = "key_id"

    key_id: str
    new_key_id: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyRevoked(Event):
    """An API key stopped working for good."""

    target: ClassVar[str | None] = "key_id"

    key_id: str
    reason: str
