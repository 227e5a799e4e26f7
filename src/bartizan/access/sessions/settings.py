"""What an operator can turn about sessions and tokens."""

from pydantic import Field

from bartizan.foundation.settings import Section


class SessionsSettings(Section):
    """Sign-in and tokens: ``BARTIZAN_SESSIONS__*``."""

    access_minutes: int = Field(
        default=15, ge=1, le=60, description="How long an access token is good, in minutes."
    )
    refresh_days: int = Field(
        default=7, ge=1, le=90, description="How long a refresh token is good, in days; each is used once."
    )
    idle_hours: int = Field(
        default=168, ge=1, le=2160, description="Hours without any request after which a session is over."
    )
    absolute_days: int = Field(
        default=30, ge=1, le=365, description="Days after which a session is over whatever happens in it."
    )
    impersonation_minutes: int = Field(
        default=15, ge=1, le=60, description="How long somebody can act as somebody else, in minutes."
    )
    refresh_window: int = Field(
        default=10,
        ge=0,
        le=60,
        description="Seconds in which a used refresh token gives the same new one again, for tabs that"
        " refresh at the same moment. Later it counts as stolen, and the session ends.",
    )
    cache_seconds: float = Field(
        default=2.0,
        ge=0,
        le=5,
        description="Seconds that a session found good is not looked up again. Endings act at once on this"
        " replica; on others after this long, and what the gate adds.",
    )
    touch_seconds: int = Field(
        default=60, ge=1, le=3600, description="How exactly it is noted when a session was last used."
    )
    max_per_person: int = Field(
        default=50, ge=1, le=1000, description="Sessions one person can have; a further one ends the oldest."
    )
    notify_new_devices: bool = Field(
        default=True, description="Whether people are mailed when their account is used on another device."
    )
