"""What this room announces. No event carries an address, a subject or a link."""

from dataclasses import dataclass
from typing import ClassVar

from bartizan.foundation.capability import Event, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailSent(Event):
    """A mail server took an e-mail."""

    target: ClassVar[str | None] = "message_id"
    audited: ClassVar[bool] = False
    message_id: str
    template: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailFailed(Event):
    """An e-mail was given up: refused for good, or tried too often."""

    target: ClassVar[str | None] = "message_id"
    outcome: ClassVar[Outcome] = "failure"
    message_id: str
    template: str
    status: str
