"""What this room announces."""

from dataclasses import dataclass
from typing import ClassVar

from bartizan.foundation.capability import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleCreated(Event):
    """An organization made a role of its own."""

    target: ClassVar[str | None] = "role_id"

    role_id: str
    role: str
    permissions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleUpdated(Event):
    """A role means something else from now on."""

    target: ClassVar[str | None] = "role_id"

    role_id: str
    role: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleDeleted(Event):
    """A role is gone."""

    target: ClassVar[str | None] = "role_id"

    role_id: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleAssigned(Event):
    """Somebody has a role, in the organization or (with ``team_id``) in a team."""

    target: ClassVar[str | None] = "user_id"

    user_id: str
    role: str
    team_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleUnassigned(Event):
    """Somebody no longer has a role."""

    target: ClassVar[str | None] = "user_id"

    user_id: str
    role: str
    team_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionGranted(Event):
    """Somebody may do one thing more than their roles say."""

    target: ClassVar[str | None] = "user_id"

    user_id: str
    grant_id: str
    permission: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionDenied(Event):
    """Somebody may not do one thing that their roles would allow."""

    target: ClassVar[str | None] = "user_id"

    user_id: str
    grant_id: str
    permission: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionReset(Event):
    """A grant or a denial was withdrawn: the roles decide again."""

    target: ClassVar[str | None] = "user_id"

    user_id: str
    grant_id: str
    permission: str
