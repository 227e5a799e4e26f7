"""What goes in and out: the same shapes in Python, HTTP, the SDKs and MCP."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

CallerKind = Literal["people", "keys", "machines"]
KINDS: tuple[CallerKind, ...] = ("people", "keys", "machines")
"""People are signed in; keys are API keys; machines are all else that calls, such as SCIM and webhooks."""
Level = Literal["organization", "global"]

Entry = Annotated[
    str,
    Field(min_length=1, max_length=64, description="An address or a range in CIDR notation, IPv4 or IPv6."),
]
Entries = Annotated[
    list[Entry],
    Field(
        min_length=1,
        max_length=2_000,
        description="Where callers may come from.",
        examples=[["203.0.113.0/24", "2001:db8::/32"]],
    ),
]
Callers = Annotated[
    list[CallerKind],
    Field(min_length=1, max_length=len(KINDS), description="The kinds of callers that the rule holds for."),
]
Role = Annotated[
    str | None,
    Field(
        min_length=1,
        max_length=40,
        description="The role whose holders, and their keys, the rule holds for; null for everybody.",
    ),
]
Confirm = Annotated[bool, Field(description="Do it even if it locks you out from where you are.")]
LevelAsked = Annotated[
    Level, Field(description="`organization`, or `global` for the whole platform, which takes an operator.")
]
AddressAsked = Annotated[str, Field(min_length=1, max_length=64, description="The address to try.")]


class DraftIpRule(BaseModel):
    """From where callers may come, not yet in force."""

    model_config = ConfigDict(extra="forbid")

    addresses: Entries
    callers: Callers = Field(default_factory=lambda: list(KINDS))
    role: Role = None


class NewIpRule(DraftIpRule):
    """A rule to be made."""

    level: LevelAsked = "organization"
    note: str = Field(default="", max_length=400)
    enabled: bool = True
    confirm: Confirm = False


class IpRuleChanges(BaseModel):
    """What shall change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    addresses: Entries | None = None
    callers: Callers | None = None
    note: str | None = Field(default=None, max_length=400)
    enabled: bool | None = None
    confirm: Confirm = False


class IpRule(BaseModel):
    """A rule about addresses."""

    model_config = ConfigDict(frozen=True)

    id: str
    level: Level
    role: str | None
    addresses: Sequence[str] = Field(description="In their shortest form.")
    callers: Sequence[CallerKind]
    note: str
    enabled: bool
    created_by: str | None
    created_at: datetime
    updated_at: datetime


class IpOverride(BaseModel):
    """Why rules are switched off; the reason goes on the record."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=3, max_length=400, pattern=r"\S", examples=["Support case 4711"])


class IpVerdict(BaseModel):
    """What the rules of one level say about an address."""

    model_config = ConfigDict(frozen=True)

    level: Level
    role: str | None
    allowed: bool
    rules: Sequence[str] = Field(description="Ids of the enabled rules that list the address.")


class IpTrial(BaseModel):
    """Whether somebody could come from an address. Every level that has rules for them has to agree."""

    model_config = ConfigDict(frozen=True)

    address: str = Field(description="In its shortest form; IPv4 inside IPv6 counts as IPv4.")
    allowed: bool
    because: Sequence[IpVerdict]


class IpSimulation(BaseModel):
    """Rules to be tried against what is on record."""

    model_config = ConfigDict(extra="forbid")

    rules: list[DraftIpRule] = Field(min_length=1, max_length=50)
    level: LevelAsked = "organization"
    keep: bool = Field(
        default=True, description="Count the enabled rules that there are, too; false tries the drafts alone."
    )


class IpRefusal(BaseModel):
    """Somebody who would have been refused."""

    model_config = ConfigDict(frozen=True)

    kind: CallerKind
    id: str = Field(description="The person, `usr_…`, or the key, `key_…`.")
    email: str | None = Field(description="Of a person; null for keys and for those who are gone.")
    address: str
    last_seen: datetime
    count: int = Field(description="How many records show them there.")


class IpForecast(BaseModel):
    """Who would have been refused, the last one seen at the top."""

    model_config = ConfigDict(frozen=True)

    since: datetime
    looked_at: int = Field(description="Records and sessions that show an address.")
    complete: bool = Field(description="False when there was more on record than is looked at.")
    refused: Sequence[IpRefusal] = Field(description="At most 500.")
    more: int = Field(description="How many others would have been refused.")
