"""What an operator can turn in rules about addresses."""

from pydantic import Field

from bartizan.foundation.settings import Section


class IpAllowlistSettings(Section):
    """Rules about addresses: ``BARTIZAN_IP_ALLOWLIST__*``."""

    max_rules: int = Field(
        default=50, ge=1, le=200, description="Rules that one organization, or the whole platform, may have."
    )
    max_addresses: int = Field(
        default=500, ge=1, le=2_000, description="Addresses and ranges that one rule may list."
    )
    refresh_seconds: float = Field(
        default=2.0,
        gt=0,
        le=3,
        description="How often a replica looks for rules that another one changed, in seconds.",
    )
    stale_seconds: float = Field(
        default=60.0,
        ge=5,
        description="After so many seconds without a look at the rules this replica reports that it is not "
        "ready. The rules it knows go on holding.",
    )
    refusals_per_minute: int = Field(
        default=60,
        ge=1,
        le=10_000,
        description="Refused addresses that one audit log notes in a minute; the rest is counted.",
    )
    simulated_records: int = Field(
        default=5_000,
        ge=200,
        le=50_000,
        description="Records of the audit log, and as many sessions, that a simulation looks at; the newest.",
    )
