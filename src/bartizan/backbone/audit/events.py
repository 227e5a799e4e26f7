"""What this room announces."""

from dataclasses import dataclass
from typing import ClassVar

from bartizan.foundation.capability import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectErased(Event):
    """A person's details in the audit log were made unreadable, for good."""

    target: ClassVar[str | None] = "subject_id"

    subject_id: str
    reason: str
    records: int
    """How many records lost their personal details."""
