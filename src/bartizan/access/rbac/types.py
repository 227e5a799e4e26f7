"""What goes in and out: the same shapes in Python, HTTP, the SDKs and MCP."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

UserId = Annotated[str, Field(max_length=30, description="The person, `usr_…`.")]
TeamId = Annotated[str, Field(max_length=30, description="A team, `tea_…`: how things stand inside it.")]
PermissionName = Annotated[
    str,
    Field(max_length=100, description="`resource:verb`; a dot and the plural are understood too."),
]
RoleName = Annotated[
    str,
    Field(max_length=40, description="A built-in role, or one that the organization made."),
]
NewRoleName = Annotated[
    str,
    Field(
        pattern=r"^[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*$",
        min_length=2,
        max_length=40,
        description="Lower case; it cannot be changed later.",
        examples=["release-manager"],
    ),
]


@dataclass(frozen=True, slots=True)
class Effective:
    """What a person may do, everything counted."""

    roles: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()


class PermissionInfo(BaseModel):
    """One thing that a role can allow."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    name: str
    meaning: str


class NewRole(BaseModel):
    """A role to be made."""

    model_config = ConfigDict(extra="forbid")

    name: NewRoleName
    description: str = Field(default="", max_length=400)
    permissions: list[PermissionName] = Field(default_factory=list[str], max_length=500)


class RoleChanges(BaseModel):
    """What a role shall mean from now on; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    description: str | None = Field(default=None, max_length=400)
    permissions: list[PermissionName] | None = Field(default=None, max_length=500)


class Role(BaseModel):
    """A named set of permissions."""

    model_config = ConfigDict(frozen=True)

    name: str
    description: str
    permissions: Sequence[str]
    built_in: bool
    scope: Literal["organization", "team"] = "organization"
    updated_at: datetime | None = Field(default=None, description="Null for built-in roles.")


class RoleChoice(BaseModel):
    """The roles that somebody shall have, exactly."""

    model_config = ConfigDict(extra="forbid")

    roles: list[RoleName] = Field(min_length=1, max_length=20)


class NewGrant(BaseModel):
    """A permission to be given to one person, or withheld from them, beyond their roles."""

    model_config = ConfigDict(extra="forbid")

    permission: PermissionName
    allowed: bool = Field(default=True, description="False withholds it: a denial wins over every role.")
    reason: str = Field(default="", max_length=400)


class Grant(BaseModel):
    """A permission given to one person or withheld from them."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    id: str
    user_id: str
    permission: str
    allowed: bool
    reason: str
    granted_by: str | None
    created_at: datetime


class Access(BaseModel):
    """What one person has in this organization."""

    model_config = ConfigDict(frozen=True)

    user_id: str
    roles: Sequence[str]
    teams: dict[str, Sequence[str]] = Field(description="Roles in teams, by team.")
    grants: Sequence[Grant]
    permissions: Sequence[str]


class Reason(BaseModel):
    """One step of a derivation."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["role", "team", "grant", "denial", "suspended", "owner", "none"]
    text: str = Field(description="The step in words.")
    role: str | None = None
    team_id: str | None = None
    grant_id: str | None = None
    decides: bool = Field(description="Whether the answer follows from this step.")


class Explanation(BaseModel):
    """Why somebody may or may not do something."""

    model_config = ConfigDict(frozen=True)

    user_id: str
    org_id: str
    team_id: str | None
    permission: str
    allowed: bool
    summary: str
    because: Sequence[Reason]
    would_allow: Sequence[str] = Field(description="Roles that would allow it; empty when it is allowed.")


class Able(BaseModel):
    """Somebody who may do the thing asked for."""

    model_config = ConfigDict(frozen=True)

    user_id: str
    via: Sequence[str] = Field(description="The roles or the grant it comes from.")
