"""What goes in and out: the same shapes in Python, HTTP, the SDKs and MCP."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from bartizan.access.identity import EmailAddress, FullName, Login, Password, User, Username
from bartizan.foundation.context import Caller

Id = Annotated[str, Field(max_length=30)]
Token = Annotated[str, Field(min_length=20, max_length=200)]
PersonFilter = Annotated[str | None, Field(max_length=30, description="Only sessions of this person.")]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Credentials(_In):
    """A login and a password."""

    login: Login = Field(
        validation_alias=AliasChoices("login", "username", "email"),
        description="E-mail address or user name; `username` and `email` are understood too.",
    )
    password: Password
    cookie: bool = Field(
        default=False, description="Set a cookie for a browser, and keep the tokens out of the answer."
    )


class Registration(_In):
    """An account to be opened, with an organization of its own or by an invitation to one."""

    email: EmailAddress
    password: Password
    username: Username | None = None
    full_name: FullName | None = None
    organization: str | None = Field(
        default=None, min_length=1, max_length=120, pattern=r"\S", description="Name of the new organization."
    )
    invitation: Token | None = Field(default=None, description="The token of an invitation's link.")
    owner_token: Token | None = Field(
        default=None, description="The token of the link that `bartizan owner link` printed."
    )
    cookie: bool = Field(
        default=False, description="Set a cookie for a browser, and keep the tokens out of the answer."
    )


class Refresh(_In):
    """A refresh token, to be used once."""

    refresh_token: Token


class Switch(_In):
    """Another organization, and perhaps a team of it, to act for."""

    org_id: Id
    team_id: Id | None = None
    cookie: bool = Field(default=False, description="Set the new token as a cookie.")


class Impersonation(_In):
    """Somebody to act as, and why; the reason goes on the record."""

    user_id: Id
    reason: str = Field(min_length=3, max_length=400, pattern=r"\S", examples=["Support case 4711"])
    cookie: bool = Field(default=False, description="Set the new token as a cookie.")


class Stopping(_In):
    """How to hand back the session of one's own."""

    cookie: bool = Field(default=False, description="Set its token as a cookie.")


class Tokens(BaseModel):
    """What a sign-in gives. Nothing of it can be read again later."""

    model_config = ConfigDict(frozen=True)

    access_token: str | None = Field(
        description="A signed token for APIs (RFC 9068), good for `expires_in` seconds."
    )
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - RFC 6749's word
    expires_in: int
    refresh_token: str | None = Field(
        default=None, description="Gives the next access token, once; null where the session has one already."
    )
    session_token: str | None = Field(
        default=None, description="An opaque token that is good as long as the session; what a cookie holds."
    )
    csrf_token: str = Field(description="What pages send as X-CSRF-Token when a cookie says who they are.")
    session_id: str
    user_id: str
    org_id: str | None


class Registered(BaseModel):
    """What came of a registration."""

    model_config = ConfigDict(frozen=True)

    status: Literal["created", "pending"] = Field(
        description="`pending`: follow the link in the mail. It is the answer to a known address too, where"
        " accounts are hidden."
    )
    user: User | None = None
    org_id: str | None = None
    tokens: Tokens | None = None


class SessionInfo(BaseModel):
    """One sign-in, without its tokens."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    id: str
    user_id: str
    org_id: str | None
    method: str
    device: str
    ip: str | None
    actor_id: str | None = Field(description="Who acts in it as this person, while impersonating.")
    created_at: datetime
    last_seen_at: datetime = Field(description="To the minute.")
    expires_at: datetime
    current: bool = Field(default=False, description="Whether it is the one that asks.")


class Home(BaseModel):
    """The organization that the caller acts for."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    id: str
    name: str
    slug: str


class Me(BaseModel):
    """Who asks, for whom, and what they may do."""

    model_config = ConfigDict(frozen=True)

    user: User
    organization: Home | None
    team_id: str | None
    roles: Sequence[str]
    permissions: Sequence[str]
    impersonator: str | None = Field(description="Id of who really acts.")
    session_id: str | None
    csrf_token: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who a token lets in, and what they may do now."""

    session_id: str
    user_id: str
    email: str
    org_id: str | None
    team_id: str | None
    roles: frozenset[str]
    permissions: frozenset[str]
    operator: bool
    traits: frozenset[str]
    actor_id: str | None
    expires_at: datetime
    rotate: bool
    """Whether a cookie's token should be replaced now, by ``sessions.rotate``."""

    def caller(self) -> Caller:
        """Give the caller that a request with this token has."""
        return Caller(
            id=self.user_id,
            kind="user",
            org_id=self.org_id,
            team_id=self.team_id,
            permissions=self.permissions,
            roles=self.roles,
            user_id=self.user_id,
            session_id=self.session_id,
            actor_id=self.actor_id,
            operator=self.operator,
            traits=self.traits,
            email=self.email,
        )


def cookie_name(*, secure: bool) -> str:
    """Name the session cookie; the ``__Host-`` prefix pins it to this host and to TLS (RFC 6265bis)."""
    return "__Host-bartizan" if secure else "bartizan"
