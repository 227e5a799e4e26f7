"""What an operator can turn in roles and permissions."""

from pydantic import Field

from bartizan.foundation.settings import Section


class RbacSettings(Section):
    """Roles and permissions: ``BARTIZAN_RBAC__*``."""

    cache_seconds: float = Field(
        default=5.0,
        ge=0,
        le=5,
        description="How long another replica may go on with permissions that were changed on this one.",
    )
    cache_size: int = Field(default=10_000, ge=1, description="How many people's permissions are remembered.")
    max_roles: int = Field(default=100, ge=0, description="Custom roles that one organization may have.")
    max_grants: int = Field(
        default=200, ge=0, description="Grants and denials that one person may have in one organization."
    )
