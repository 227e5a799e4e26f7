"""What goes in and out, and what a provider of delivery must do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from bartizan.foundation.errors import BartizanError

Status = Literal["queued", "sent", "failed", "bounced"]
StatusFilter = Annotated[Status | None, Field(description="Only e-mails in this state.")]
Everywhere = Annotated[
    bool, Field(description="Every organization's e-mails and the platform's own; for operators.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file that travels with a mail."""

    filename: str
    content: bytes
    content_type: str = "application/octet-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A rendered mail, ready for a provider."""

    id: str
    sender: str
    to: str
    subject: str
    text: str
    html: str
    reply_to: str | None = None
    attachments: Sequence[Attachment] = ()
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A provider's word that it took a mail."""

    provider_id: str | None = None
    detail: str = ""


class Provider(Protocol):
    """Delivers mail: SMTP, the console, a folder, or somebody's API."""

    name: str
    delivers: bool
    """Whether mail really reaches people; the console and the folder say no."""

    async def send(self, mail: Outgoing) -> Receipt:
        """Hand one mail over; raises ``DeliveryDelayed`` or ``DeliveryRefused``."""
        ...

    async def send_batch(self, mails: Sequence[Outgoing]) -> Sequence[Receipt | BartizanError]:
        """Hand several over, by one connection where that helps; one answer each, in order."""
        ...

    async def get_status(self, provider_id: str) -> Status | None:
        """Ask what became of a mail; none where the provider cannot tell."""
        ...


class Email(BaseModel):
    """What is kept of an e-mail: never its text, its data or its links."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    id: str
    org_id: str | None = Field(description="The organization it was sent for; null for the platform's own.")
    template: str
    recipient: str
    status: Status = Field(
        description="`queued` until a server took it, `sent` since then; `bounced` when it was refused for"
        " good, `failed` when it was given up. Either can be tried again: retry its job."
    )
    attempts: int
    last_error: str | None = Field(description="Why the last attempt did not work.")
    provider: str | None
    provider_id: str | None
    created_at: datetime
    sent_at: datetime | None
