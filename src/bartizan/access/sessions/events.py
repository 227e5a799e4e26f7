"""What this room announces."""

from dataclasses import dataclass
from typing import ClassVar

from bartizan.foundation.capability import Event, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfSession(Event):
    """Something that happened to a session."""

    target: ClassVar[str | None] = "session_id"

    session_id: str
    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted(_OfSession):
    """Somebody signed in."""

    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(_OfSession):
    """A session is over; ``reason`` says why."""

    reason: str
    """Such as ``signed_out``, ``revoked``, ``expired``, ``deactivated``, ``password`` or ``replayed``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSwitched(_OfSession):
    """A session acts for another organization."""

    from_id: str | None
    to_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshReplayed(_OfSession):
    """A refresh token was used a second time, so the session and all its tokens ended."""

    outcome: ClassVar[Outcome] = "denied"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpersonationStarted(_OfSession):
    """Somebody acts as somebody else from now on."""

    personal: ClassVar[frozenset[str]] = frozenset({"reason"})

    actor_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpersonationStopped(_OfSession):
    """Somebody stopped acting as somebody else."""

    actor_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerLinkMade(Event):
    """A link was made that makes an owner of the platform."""

    minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerMade(Event):
    """Somebody became an owner of the platform by the link."""

    target: ClassVar[str | None] = "user_id"

    user_id: str
