"""What an operator can turn in usage."""

from pydantic import Field

from bartizan.foundation.settings import Section


class UsageSettings(Section):
    """Counts of requests, and quotas: ``BARTIZAN_USAGE__*``."""

    flush_seconds: float = Field(
        default=1.0,
        gt=0,
        le=2,
        description="How often counts are written down, in seconds: what a killed process loses at most.",
    )
    hourly_days: int = Field(default=7, ge=1, le=366, description="How long figures by the hour are kept.")
    daily_days: int = Field(default=31, ge=1, le=3660, description="How long figures by the day are kept.")
    raw_requests: int = Field(
        default=10_000,
        ge=0,
        le=1_000_000,
        description="How many of its latest requests are kept one by one for each organization; 0 for none.",
    )
    max_endpoints: int = Field(
        default=1_000,
        ge=1,
        le=100_000,
        description="Combinations of method, route and status that one organization is shown apart in a day, "
        "for each process; what goes beyond is counted as route `other`.",
    )
    max_callers: int = Field(
        default=1_000,
        ge=1,
        le=100_000,
        description="Callers of one organization that are shown apart in a day, for each process; those that "
        "come after are counted as `other`.",
    )
    max_organizations: int = Field(
        default=20_000,
        ge=1,
        le=1_000_000,
        description="Organizations that one process counts apart between two writings; what others send in "
        "the meantime is counted for the platform.",
    )
    warn_percent: int = Field(
        default=80, ge=1, le=100, description="How much of a quota is used when its organization is told."
    )
