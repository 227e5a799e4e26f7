"""What an operator can turn in limits."""

import re
from collections.abc import Mapping
from typing import Literal

from pydantic import Field, field_validator

from bartizan.foundation.settings import Rate, Section

_ROUTE = re.compile(r"(?P<method>[A-Z]{3,10}|\*) (?P<path>/[^\s*]{0,180}\*?)", re.ASCII)
OnFailure = Literal["open", "closed"]
_OPEN = (
    "While Redis is gone: open counts in each process by itself, closed refuses with 503. "
    "Never is there no limit."
)


class OnFailureSettings(Section):
    """What becomes of each limit while Redis does not answer: ``BARTIZAN_LIMITS__ON_FAILURE__*``."""

    organization: OnFailure = Field(default="open", description=_OPEN)
    browser: OnFailure = Field(default="open", description=_OPEN)
    user: OnFailure = Field(default="open", description=_OPEN)
    key: OnFailure = Field(default="open", description=_OPEN)
    route: OnFailure = Field(default="open", description=_OPEN)
    address: OnFailure = Field(default="open", description=_OPEN)


class LimitsSettings(Section):
    """How often callers may ask: ``BARTIZAN_LIMITS__*``. Rates are texts such as ``100/minute burst 200``."""

    enabled: bool = Field(default=True, description="Off: nothing is limited, and nothing is counted.")
    organization: Rate = Field(
        default=Rate(100, 60, 200),
        description="What the programs of one organization (API keys and bearer tokens) may ask together.",
    )
    user: Rate = Field(
        default=Rate(20, 60), description="What the programs of one person may ask in one organization."
    )
    key: Rate | None = Field(
        default=None, description="What one API key may ask, besides the limits above; none by default."
    )
    browser: Rate = Field(
        default=Rate(1200, 60, 300), description="What one person may ask with a session cookie."
    )
    address: Rate = Field(
        default=Rate(600, 60, 300),
        description="What one address (of IPv6 one /64 network) may ask without a valid credential.",
    )
    routes: Mapping[str, Rate] = Field(
        default_factory=dict[str, Rate],
        description='What one caller may ask of a route, as {"POST /api/x": "5/minute", "GET /api/*": '
        '"10/second"}; `*` as the method is any, `*` at the end is whatever follows.',
    )
    on_failure: OnFailureSettings = Field(
        default=OnFailureSettings(), description="What holds while Redis does not answer."
    )
    redis_timeout: float = Field(
        default=0.25, gt=0, le=5, description="Seconds in which Redis has to answer a question."
    )
    most_callers: int = Field(
        default=200_000,
        ge=100,
        description="Limits of verified callers counted in memory that are not at rest; beyond it newcomers "
        "share places, so that a limit may come early and never late.",
    )
    most_addresses: int = Field(
        default=50_000, ge=100, description="The same for addresses without a valid credential."
    )
    most_overrides: int = Field(
        default=1_000, ge=0, description="Limits of its own that one organization may have."
    )
    keep_violations: int = Field(
        default=10_000, ge=1, description="Refusals, by limit and minute, that are kept of one organization."
    )
    alert_after: int = Field(
        default=10,
        ge=1,
        description="Refusals within one minute and scope of an organization that are announced "
        "(`limits.exceeded`, at most once a minute).",
    )

    @field_validator("routes")
    @classmethod
    def _are_routes(cls, routes: Mapping[str, Rate]) -> Mapping[str, Rate]:
        for route in routes:
            read_route(route)
        return routes


def read_route(text: str) -> tuple[str, str]:
    """Read ``POST /api/x`` or ``* /api/*`` as method and path; ``ValueError`` says how routes are written."""
    match = _ROUTE.fullmatch(text)
    if match is None:
        message = (
            f"{text[:60]!r} is no route. Write a method (or * for any) and a path: "
            '"POST /api/x", or "GET /api/*" for all below one.'
        )
        raise ValueError(message)
    return match["method"], match["path"]
