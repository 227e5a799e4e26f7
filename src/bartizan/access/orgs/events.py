"""What this room announces."""

from dataclasses import dataclass
from typing import ClassVar

from bartizan.foundation.capability import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfOrganization(Event):
    """Something that happened to an organization."""

    target: ClassVar[str | None] = "org_id"

    org_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationCreated(_OfOrganization):
    """An organization was made."""

    slug: str
    plan: str
    owner_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationUpdated(_OfOrganization):
    """An organization's name or settings were changed."""

    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationPlanned(_OfOrganization):
    """An organization has another plan or other limits."""

    plan: str
    limits: dict[str, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationTransferred(_OfOrganization):
    """An organization has a new owner in place of another."""

    from_id: str
    to_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationDeleted(_OfOrganization):
    """An organization is closed and everything of it deleted; its audit log ends with this."""

    slug: str
    members: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberAdded(Event):
    """Somebody became a member."""

    target: ClassVar[str | None] = "user_id"

    user_id: str
    membership_id: str
    roles: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRemoved(Event):
    """Somebody is no longer a member."""

    target: ClassVar[str | None] = "user_id"

    user_id: str
    membership_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberSuspended(Event):
    """A member was shut out for the time being."""

    target: ClassVar[str | None] = "user_id"

    user_id: str
    membership_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberResumed(Event):
    """A suspended member was let in again."""

    target: ClassVar[str | None] = "user_id"

    user_id: str
    membership_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfTeam(Event):
    """Something that happened to a team."""

    target: ClassVar[str | None] = "team_id"

    team_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamCreated(_OfTeam):
    """A team was made."""

    slug: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamUpdated(_OfTeam):
    """A team's name or description was changed."""

    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamDeleted(_OfTeam):
    """A team is gone."""

    slug: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamMemberAdded(_OfTeam):
    """A member of the organization joined a team."""

    user_id: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamMemberRemoved(_OfTeam):
    """Somebody left a team, or was taken out of it."""

    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfWorkspace(Event):
    """Something that happened to a workspace."""

    target: ClassVar[str | None] = "workspace_id"

    workspace_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceCreated(_OfWorkspace):
    """A workspace was made."""

    slug: str
    team_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceUpdated(_OfWorkspace):
    """A workspace was changed."""

    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceDeleted(_OfWorkspace):
    """A workspace is gone."""

    slug: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfInvitation(Event):
    """Something that happened to an invitation."""

    target: ClassVar[str | None] = "invitation_id"
    personal: ClassVar[frozenset[str]] = frozenset({"email"})

    invitation_id: str
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationSent(_OfInvitation):
    """Somebody was invited."""

    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationResent(_OfInvitation):
    """An invitation was sent again with a new link; the old link is dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationRevoked(_OfInvitation):
    """An invitation was withdrawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationAccepted(_OfInvitation):
    """An invitation was accepted."""

    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainListed(Event):
    """An organization lists an e-mail domain as its own."""

    target: ClassVar[str | None] = "domain"

    domain: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainUnlisted(Event):
    """An organization no longer lists an e-mail domain."""

    target: ClassVar[str | None] = "domain"

    domain: str
