"""What goes in and out: the same shapes in Python, HTTP, the SDKs and MCP."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(min_length=1, max_length=120, pattern=r"\S")]
Slug = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9]+(?:-[a-z0-9]+)*$",
        min_length=2,
        max_length=60,
        description="The short name, for addresses.",
        examples=["acme"],
    ),
]
Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s.]{2,}$", max_length=320)]
Id = Annotated[str, Field(max_length=30)]
Plan = Literal["free", "pro", "enterprise"]
Limits = dict[Annotated[str, Field(max_length=40)], Annotated[int, Field(ge=0)] | None]
Status = Literal["active", "suspended"]
Source = Literal["owner", "added", "invitation", "domain", "sso", "scim"]


class Person(Protocol):
    """What this room needs to know about somebody."""

    @property
    def id(self) -> str: ...
    @property
    def email(self) -> str: ...
    @property
    def full_name(self) -> str | None: ...
    @property
    def is_active(self) -> bool: ...


class People(Protocol):
    """Where people are looked up; asks for no permission."""

    async def people(self, user_ids: Collection[str]) -> Mapping[str, Person]:
        """Give the people with these ids; unknown ids are left out."""
        ...

    async def by_email(self, email: str) -> Person | None:
        """Give the person with this address, in lower case."""
        ...


class Post(Protocol):
    """What sends letters, in the caller's transaction."""

    async def send(
        self, *, to: str, template: str, data: Mapping[str, Any], org_id: str | None = None
    ) -> object:
        """Send one letter."""
        ...


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True)


class NewOrganization(_In):
    """An organization to be made."""

    name: Name
    slug: Slug | None = Field(default=None, description="Made from the name when left out.")


class OrganizationChanges(_In):
    """What shall change; what is left out stays."""

    name: Name | None = None
    slug: Slug | None = None
    settings: dict[Annotated[str, Field(max_length=80)], Any] | None = Field(default=None, max_length=100)


class PlanChanges(_In):
    """Another plan, or limits that differ from the plan's. Operators only."""

    plan: Plan | None = None
    limits: Limits | None = Field(
        default=None, max_length=50, description="By resource; null lifts the plan's limit."
    )


class Closing(_In):
    """The confirmation without which nothing is deleted."""

    confirm: str = Field(max_length=60, description="The organization's short name.")


class Heir(_In):
    """Who shall own the organization."""

    user_id: Id


class Organization(_Out):
    """A tenant."""

    id: str
    name: str
    slug: str
    plan: Plan
    settings: dict[str, Any]
    limits: dict[str, int | None] = Field(description="What holds now: the plan's limits and its own.")
    created_at: datetime
    updated_at: datetime


class MyOrganization(_Out):
    """One of the organizations that the caller belongs to."""

    id: str
    name: str
    slug: str
    plan: Plan
    roles: Sequence[str]
    status: Status


class NewMember(_In):
    """Somebody who has an account already and shall become a member."""

    user_id: Id
    role: str = Field(default="member", max_length=40)


class MemberChanges(_In):
    """What shall change about a member."""

    role: str | None = Field(default=None, max_length=40, description="The one role they shall have.")
    status: Status | None = None


class Member(_Out):
    """One person in the organization."""

    id: str
    user_id: str
    email: str | None
    full_name: str | None
    roles: Sequence[str]
    status: Status
    source: Source
    created_at: datetime


class NewTeam(_In):
    """A team to be made."""

    name: Name
    slug: Slug | None = None
    description: str = Field(default="", max_length=400)


class TeamChanges(_In):
    """What shall change about a team."""

    name: Name | None = None
    description: str | None = Field(default=None, max_length=400)


class Team(_Out):
    """A group of members."""

    id: str
    name: str
    slug: str
    description: str
    is_default: bool
    created_at: datetime
    updated_at: datetime


class NewTeamMember(_In):
    """A member of the organization who shall join the team."""

    user_id: Id
    role: Literal["owner", "admin", "member", "viewer"] = "member"


class TeamMemberChanges(_In):
    """Another role in the team."""

    role: Literal["owner", "admin", "member", "viewer"]


class TeamMember(_Out):
    """One person in a team."""

    user_id: str
    email: str | None
    full_name: str | None
    role: str
    created_at: datetime


class NewWorkspace(_In):
    """A workspace to be made."""

    name: Name
    slug: Slug | None = None
    team_id: Id | None = Field(default=None, description="The team it is below; none: the organization.")


class WorkspaceChanges(_In):
    """What shall change about a workspace."""

    name: Name | None = None
    settings: dict[Annotated[str, Field(max_length=80)], Any] | None = Field(default=None, max_length=100)


class Workspace(_Out):
    """A place for a host's things."""

    id: str
    team_id: str | None
    name: str
    slug: str
    settings: dict[str, Any]
    created_at: datetime
    updated_at: datetime


class NewInvitation(_In):
    """Somebody to be invited by e-mail."""

    email: Email
    role: str = Field(default="member", max_length=40)
    team_id: Id | None = Field(default=None, description="A team they join, as member, at the same time.")


class Invitation(_Out):
    """An invitation; its link is known to the e-mail only."""

    id: str
    email: str
    role: str
    team_id: str | None
    invited_by: str | None
    status: Literal["pending", "accepted", "revoked", "expired"]
    created_at: datetime
    expires_at: datetime


class Acceptance(_In):
    """The token of an invitation's link."""

    token: str = Field(min_length=20, max_length=100)


class OpenInvitation(_Out):
    """What the reader of an invitation's link sees before signing in."""

    organization: str
    email: str
    role: str
    expires_at: datetime


class Joined(_Out):
    """The organization that an invitation led to."""

    org_id: str


class NewDomain(_In):
    """A domain whose people shall join when they register."""

    domain: str = Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$", max_length=253)
    role: str = Field(default="member", max_length=40)


class Domain(_Out):
    """A domain that the organization lists."""

    domain: str
    role: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """How a person stands in an organization, and in the team it acts for."""

    org_id: str
    user_id: str
    status: Status
    team_id: str | None = None
    roles: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
