"""What an operator can turn in API keys."""

from pydantic import Field

from bartizan.foundation.settings import Section


class ApiKeysSettings(Section):
    """API keys: ``BARTIZAN_API_KEYS__*``."""

    prefix: str = Field(
        default="btz",
        pattern=r"^[a-z][a-z0-9]{1,11}$",
        description="How every key begins, for people and for scanners that look for leaked secrets.",
    )
    cache_seconds: float = Field(
        default=5.0, ge=0, le=5, description="How long another replica may still take a revoked key."
    )
    cache_size: int = Field(default=10_000, ge=1, description="How many keys are remembered.")
    usage_seconds: float = Field(
        default=30.0, ge=0, description="How often the usage of keys is written down, in seconds."
    )
    max_days: int | None = Field(
        default=None, ge=1, description="The longest that a key may last, in days; null for no end."
    )
    max_overlap_hours: int = Field(
        default=24 * 7, ge=0, description="The longest that a rotated key may go on working, in hours."
    )
    max_keys: int = Field(default=1_000, ge=1, description="Working keys that one organization may have.")
