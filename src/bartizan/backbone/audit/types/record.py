"""What goes in and out: the same shapes in Python, HTTP, the SDKs and MCP."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from bartizan.foundation.capability import Outcome
from bartizan.foundation.pages import Cursor, Limit

Action = Annotated[
    str,
    Field(
        max_length=100,
        pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$",
        description="What was done: resource and verb.",
        examples=["report.exported"],
    ),
]


class AuditActor(BaseModel):
    """Who did it."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(description="`user`, `key`, `system`, or `anonymous` when nobody was signed in.")
    id: str | None
    on_behalf_of: str | None = Field(
        default=None, description="Whose account was used: of an impersonated person, or of a key's owner."
    )


class AuditTarget(BaseModel):
    """What it was done to."""

    model_config = ConfigDict(frozen=True)

    type: str
    id: str | None


class AuditEvent(BaseModel):
    """One record of the audit log."""

    model_config = ConfigDict(frozen=True)

    id: str
    org_id: str | None = Field(description="Null in the platform's own log.")
    time: datetime
    action: str = Field(examples=["api_key.revoked"])
    actor: AuditActor
    target: AuditTarget | None
    outcome: Outcome
    request_id: str | None
    session_id: str | None
    method: str | None
    path: str | None = Field(description="Without the query, and with `~` where an e-mail address stood.")
    changes: dict[str, Any] = Field(description="Plain facts: ids, states, counts. Nothing personal.")
    personal: dict[str, Any] = Field(description="Details about people, such as `ip`; they can be erased.")
    withheld: int = Field(description="How many personal details cannot be shown any more.")
    leaf: str = Field(description="The record's leaf hash (RFC 9162), in hexadecimal.")
    intact: bool = Field(description="False when the row does not match its own hash.")
    unconfirmed: bool = Field(description="Whether a crash left open if the change really happened.")


class AuditRecord(BaseModel):
    """A record as evidence: whoever has it can check it without us."""

    model_config = ConfigDict(frozen=True)

    origin: str = Field(description="The name of the log.")
    id: str
    leaf: str = Field(description="SHA-256 of a zero byte and the body, in hexadecimal.")
    body: str = Field(description="The record, verbatim; hash its UTF-8 bytes.")
    disclosures: list[str] = Field(description="RFC 9901 disclosures whose digests the body lists in `_sd`.")


class NewAuditEntry(BaseModel):
    """Something to be written to the audit log."""

    model_config = ConfigDict(extra="forbid")

    action: Action
    resource_type: str | None = Field(default=None, max_length=100)
    resource_id: str | None = Field(default=None, max_length=200)
    details: dict[str, Any] = Field(
        default_factory=dict, max_length=50, description="Plain facts. They can never be erased."
    )
    personal: dict[str, Any] = Field(
        default_factory=dict, max_length=50, description="Whatever identifies a person, and free text."
    )
    outcome: Outcome = "success"


class AuditQuery(BaseModel):
    """Which records to show; every filter that is given must match."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    org: str | None = Field(
        default=None, max_length=30, description="Operators only: an organization's id, or `platform`."
    )
    user: str | None = Field(
        default=None, max_length=100, description="Did it, or it was done in their name, or to them."
    )
    actor: str | None = Field(
        default=None, max_length=100, description="Did it, or it was done in their name."
    )
    action: str | None = Field(
        default=None, max_length=100, description="An action, or all of a kind.", examples=["api_key.*"]
    )
    resource_type: str | None = Field(default=None, max_length=100)
    resource_id: str | None = Field(default=None, max_length=200)
    outcome: Outcome | None = None
    ip: str | None = Field(default=None, max_length=45, description="The caller's exact address.")
    request_id: str | None = Field(default=None, max_length=200)
    since: AwareDatetime | None = Field(default=None, description="From this moment on.")
    until: AwareDatetime | None = Field(default=None, description="Before this moment.")
    limit: Limit = 50
    cursor: Cursor = None


@dataclass(frozen=True, slots=True)
class AuditState:
    """What a look at the newest records found."""

    checked: int
    spoilt: Sequence[str]
    """Ids of records that are not what was written."""
    unguarded: Sequence[str]
    """Triggers that keep the records from being changed, and are missing or off."""
