"""What goes in and out: the same shapes in Python, HTTP, the SDKs and MCP."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from bartizan.foundation.context import Caller

Mode = Literal["live", "test"]
OwnerKind = Literal["person", "team", "organization"]
Scope = Annotated[str, Field(max_length=100, description="A permission, such as `app:read`.")]
RateLimit = Annotated[int, Field(ge=1, le=1_000_000, description="Requests a minute; null for the default.")]


class NewApiKey(BaseModel):
    """A key to be issued."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=80, pattern=r"\S", examples=["ci-deploy"])
    scopes: list[Scope] | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="What it may do; you must hold it. Left out: all that you and the owner hold now.",
    )
    mode: Mode = "live"
    owner: OwnerKind = Field(
        default="person",
        description="Whose it is: yours, and then it ends with your membership; or a team's or the "
        "organization's, and then it stays when you leave.",
    )
    team_id: str | None = Field(default=None, max_length=30, description="The team, if a team shall own it.")
    expires_at: AwareDatetime | None = None
    rate_limit: RateLimit | None = None


class ApiKeyChanges(BaseModel):
    """What shall change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, min_length=1, max_length=80, pattern=r"\S")
    scopes: list[Scope] | None = Field(default=None, min_length=1, max_length=200)
    rate_limit: RateLimit | None = None


class Rotation(BaseModel):
    """How a key is to be replaced."""

    model_config = ConfigDict(extra="forbid")

    overlap_hours: float = Field(default=24, ge=0, description="How long the old key goes on, in hours.")


class ApiKey(BaseModel):
    """A key, without its secret."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    id: str
    name: str
    hint: str = Field(description="How the key begins: its prefix and the first 8 of its characters.")
    mode: Mode
    owner_kind: OwnerKind
    owner_id: str
    created_by: str | None
    scopes: Sequence[str]
    rate_limit: int | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    replaced_by: str | None
    last_used_at: datetime | None = Field(description="Written down about twice a minute.")
    uses: int


class IssuedApiKey(ApiKey):
    """A key at the only moment its secret is known."""

    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKey:
    """What is remembered of a key between two requests; never its secret."""

    id: str
    org_id: str
    digest: str
    mode: str
    owner_kind: str
    owner_id: str
    scopes: frozenset[str]
    rate_limit: int | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who a key lets in, and what it may do now."""

    key_id: str
    org_id: str
    permissions: frozenset[str]
    user_id: str | None = None
    """The person who owns the key; none for a team's or an organization's."""
    owner_roles: frozenset[str] = frozenset()
    """What that person is in the organization now."""
    team_id: str | None = None
    mode: Mode = "live"
    rate_limit: int | None = None
    """Requests a minute; none for the default."""

    def caller(self) -> Caller:
        """Give the caller that a request with this key has."""
        return Caller(
            id=self.key_id,
            kind="key",
            org_id=self.org_id,
            team_id=self.team_id,
            permissions=self.permissions,
            user_id=self.user_id,
            owner_roles=self.owner_roles,
        )
