"""What goes in and out: the same shapes in Python, HTTP, the SDKs and MCP."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from bartizan.foundation.settings import Rate

from .bucket import Scope

PLATFORM: Final = "platform"
"""Where refusals of requests without a credential are recorded: they belong to no organization."""

SettableScope = Literal["organization", "browser", "user", "key", "route"]
Target = Annotated[
    str | None,
    Field(
        max_length=200,
        description="The person `usr_…`, the key `key_…`, or the route, as `POST /api/x` or `GET /api/*`. "
        "Left out for `organization` and `browser`, which hold for the whole organization.",
    ),
]
OrgId = Annotated[
    str | None, Field(max_length=30, description="Another organization than your own; for operators.")
]
ScopeAsked = Annotated[Scope | None, Field(description="Only those of this kind of limit.")]
TargetAsked = Annotated[
    str | None, Field(max_length=200, description="Only those of this person, key, route or address.")
]
Since = Annotated[AwareDatetime | None, Field(description="Only those from this moment on.")]


class NewLimit(BaseModel):
    """A limit to be set in the place of the one that holds by default."""

    model_config = ConfigDict(extra="forbid")

    scope: SettableScope
    target: Target = None
    rate: Rate = Field(description="Such as `100/minute burst 200`.")


class Limit(BaseModel):
    """A limit that holds in an organization."""

    model_config = ConfigDict(frozen=True)

    id: str | None = Field(description="Null for one that comes from the settings.")
    scope: Scope
    target: str | None = Field(description="Null for what holds for each one that has no limit of its own.")
    rate: Rate
    set_by: str | None = None
    updated_at: datetime | None = None


class Violation(BaseModel):
    """How often one limit refused within one minute."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: str
    minute: datetime
    scope: Scope
    target: str = Field(description="What was limited; empty where there were too many to tell apart.")
    rate: str = Field(description="The limit that was hit.")
    count: int = Field(description="Requests refused.")


@dataclass(frozen=True, slots=True, order=True)
class Hit:
    """A limit of an organization (or of the platform), in a minute."""

    org_id: str
    minute: datetime
    scope: Scope
    target: str
