"""What an operator can turn in organizations."""

from typing import Literal

from pydantic import Field

from bartizan.foundation.settings import Section

_Plan = Literal["free", "pro", "enterprise"]


def _plans() -> dict[_Plan, dict[str, int | None]]:
    return {
        "free": {"seats": 50, "teams": 20, "workspaces": 100},
        "pro": {"seats": 1_000, "teams": 200, "workspaces": 2_000},
        "enterprise": {},
    }


class OrgsSettings(Section):
    """Organizations, members and invitations: ``BARTIZAN_ORGS__*``."""

    default_plan: _Plan = Field(default="free", description="The plan of a new organization.")
    plans: dict[_Plan, dict[str, int | None]] = Field(
        default_factory=_plans,
        description="What each plan allows, by resource; what is null or left out has no limit.",
    )
    default_team: str = Field(
        default="General", max_length=80, description="The team every new organization has; empty for none."
    )
    invitation_hours: int = Field(
        default=72, ge=1, le=24 * 30, description="How long an invitation can be accepted, in hours."
    )
    max_organizations: int = Field(
        default=50, ge=1, description="Organizations that one person may own; a guard against floods."
    )
    self_service: bool = Field(
        default=True, description="Whether people may make organizations themselves, or operators only."
    )
    public_domains: list[str] = Field(
        default=[
            *(
                "gmail.com",
                "googlemail.com",
                "outlook.com",
                "hotmail.com",
                "live.com",
                "msn.com",
                "yahoo.com",
            ),
            *(
                "icloud.com",
                "me.com",
                "aol.com",
                "proton.me",
                "protonmail.com",
                "gmx.com",
                "gmx.net",
                "gmx.de",
            ),
            *("web.de", "mail.ru", "yandex.ru", "qq.com", "163.com", "zoho.com", "fastmail.com"),
        ],
        description="E-mail domains that anybody can have, so that no organization can list them as its own.",
    )
