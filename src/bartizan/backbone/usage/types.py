"""What goes in and out: the same shapes in Python, HTTP, the SDKs and MCP."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Annotated, Literal, Protocol

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

PLATFORM = "platform"
"""Stands for the organization of requests that act for none."""
EVERYBODY = "all"
"""What an operator asks for to see every organization together."""
OTHER = "other"
"""The route, and the caller, of what goes beyond the number that is shown apart."""
ANONYMOUS = "anonymous"
"""The caller of requests without one."""

Grain = Literal["hour", "day"]
Period = Literal["day", "month"]
GrainAsked = Annotated[
    Grain | None, Field(description="Points by the hour or by the day; left out: what the range allows.")
]
Since = Annotated[
    AwareDatetime | None,
    Field(description="From this moment on (RFC 3339), down to a whole hour or day; left out: a day before."),
]
Until = Annotated[
    AwareDatetime | None,
    Field(description="Up to this moment (RFC 3339), up to a whole hour or day; left out: now."),
]
Org = Annotated[
    str | None,
    Field(
        max_length=30,
        description="For operators: another organization's id, `platform` for requests that act for none, or "
        "`all` for everything together.",
    ),
]
Most = Annotated[int, Field(ge=1, le=200, description="How many to list at most.")]
CallerAsked = Annotated[str | None, Field(max_length=100, description="Only requests of this caller.")]
RouteAsked = Annotated[
    str | None, Field(max_length=200, description="Only requests that this route template answered.")
]
StatusAsked = Annotated[
    int | None, Field(ge=100, le=599, description="Only requests answered with this status.")
]

Limits = Mapping[str, int | None]


class Allowances(Protocol):
    """What plans allow: how many of a resource for each organization; null or left out is no limit."""

    async def __call__(self, org_ids: Collection[str]) -> Mapping[str, Limits]:
        """Give the limits of these organizations, as far as they exist."""
        ...


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True)


class Figures(_Shape):
    """Figures of some requests.

    Percentiles are estimated from bands of latency that are 1.41 times as wide as the one before: within a
    few percent as a rule, never off by more than a band.
    """

    requests: int
    client_errors: int = Field(description="Answers of 400 to 499.")
    server_errors: int = Field(description="Answers of 500 and more.")
    average_ms: float | None = Field(description="Mean time to answer; null without requests.")
    p50_ms: float | None = Field(description="Half were answered within so many milliseconds.")
    p95_ms: float | None = Field(description="95 of 100 were answered within so many milliseconds.")
    p99_ms: float | None = Field(description="99 of 100 were answered within so many milliseconds.")


class Summary(Figures):
    """All requests of a range."""

    since: datetime = Field(description="Where the range begins, on a whole hour or day.")
    until: datetime = Field(description="Where it ends, on a whole hour or day.")


class EndpointUsage(Figures):
    """The requests of one endpoint."""

    method: str
    route: str = Field(description="The template; `other` for what goes beyond the number shown apart.")


class StatusUsage(_Shape):
    """The requests answered with one status."""

    status: int
    requests: int
    average_ms: float


class CallerUsage(_Shape):
    """The requests of one caller."""

    caller_id: str = Field(description="A person or an API key; `anonymous` or `other` for several.")
    requests: int
    client_errors: int
    server_errors: int
    average_ms: float


class Point(Figures):
    """The requests of one hour or one day."""

    start: datetime


class RawRequest(_Shape):
    """One request: where it went and how it ended, never what was in it."""

    time: datetime
    org_id: str
    method: str
    route: str
    status: int
    milliseconds: float
    caller_id: str
    request_id: str | None


class Quota(_Shape):
    """One quota of an organization."""

    resource: str = Field(examples=["requests_per_month"])
    period: Period
    hard: bool = Field(description="Whether requests beyond it are refused, or only marked.")
    limit: int
    used: int = Field(description="As of about a second ago; requests refused with 429 are free.")
    resets_at: datetime
