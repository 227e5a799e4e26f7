"""What this room announces. No event carries a value."""

from dataclasses import dataclass
from typing import ClassVar

from bartizan.foundation.capability import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretCreated(Event):
    """A secret was stored for the first time."""

    target: ClassVar[str | None] = "secret"
    secret: str
    platform: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRotated(Event):
    """A secret got a new value; older versions stay readable for a while."""

    target: ClassVar[str | None] = "secret"
    secret: str
    version: int
    platform: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretDeleted(Event):
    """A secret and all its versions were deleted."""

    target: ClassVar[str | None] = "secret"
    secret: str
    platform: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRead(Event):
    """Code read the value of a secret."""

    target: ClassVar[str | None] = "secret"
    secret: str
    version: int
    platform: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretsResealed(Event):
    """Stored secrets were sealed anew under the newest key."""

    count: int
