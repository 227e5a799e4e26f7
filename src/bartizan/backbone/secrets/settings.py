"""What an operator can turn about secrets."""

from pydantic import Field

from bartizan.foundation.settings import Section


class SecretsSettings(Section):
    """How much history is kept, and how many secrets an organization may have."""

    keep_versions: int = Field(
        default=3,
        ge=1,
        le=50,
        description="How many versions of a secret stay readable, the newest included.",
    )
    most: int = Field(
        default=1000, ge=1, le=100_000, description="How many secrets one organization may hold."
    )
