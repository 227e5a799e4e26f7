"""What this room announces. None of it names a person other than by id."""

from dataclasses import dataclass
from typing import ClassVar

from bartizan.foundation.capability import Event, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfUser(Event):
    """Something that happened to an account."""

    target: ClassVar[str | None] = "user_id"

    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRegistered(_OfUser):
    """An account was opened."""

    verified: bool
    """Whether the e-mail address was known to be the person's already, as after an invitation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserUpdated(_OfUser):
    """An account was changed; ``changed`` names the fields."""

    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserDeactivated(_OfUser):
    """An account was switched off; everything that acts in its name ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserReactivated(_OfUser):
    """An account was switched on again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserDeleted(_OfUser):
    """An account was deleted and what it said about the person erased."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailVerified(_OfUser):
    """Somebody proved that the e-mail address is theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordResetRequested(_OfUser):
    """A link for a new password was mailed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordReset(_OfUser):
    """A new password was set by a mailed link; every session ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordChanged(_OfUser):
    """Somebody changed their password; their other sessions end."""

    keep: str | None = None
    """The session in which it was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInFailed(Event):
    """A password was not accepted."""

    target: ClassVar[str | None] = "user_id"
    outcome: ClassVar[Outcome] = "failure"

    user_id: str | None
    """None where nobody has this login."""
    reason: str
    """``password``, ``unknown``, ``disabled`` or ``unverified``: for the record, never for the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInBlocked(Event):
    """So many attempts failed that further ones are refused for a while."""

    outcome: ClassVar[Outcome] = "denied"

    scope: str
    """``login`` or ``address``."""
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BreachCheckSkipped(Event):
    """A password was accepted although the service for breached ones did not answer."""

    outcome: ClassVar[Outcome] = "failure"

    reason: str
