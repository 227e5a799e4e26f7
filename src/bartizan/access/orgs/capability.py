"""What this room brings to the house."""

from bartizan.foundation.capability import Capability

from . import errors, events
from .routes import routes
from .service import PERMISSIONS
from .settings import OrgsSettings
from .tables import (
    DomainRow,
    InvitationRow,
    MembershipRow,
    OrganizationRow,
    TeamMemberRow,
    TeamRow,
    WorkspaceRow,
)

capability = Capability(
    name="orgs",
    summary="Organizations, members, teams, workspaces and invitations",
    tables=[OrganizationRow, MembershipRow, TeamRow, TeamMemberRow, WorkspaceRow, InvitationRow, DomainRow],
    permissions=PERMISSIONS,
    events=[
        events.OrganizationCreated,
        events.OrganizationUpdated,
        events.OrganizationPlanned,
        events.OrganizationTransferred,
        events.OrganizationDeleted,
        events.MemberAdded,
        events.MemberRemoved,
        events.MemberSuspended,
        events.MemberResumed,
        events.TeamCreated,
        events.TeamUpdated,
        events.TeamDeleted,
        events.TeamMemberAdded,
        events.TeamMemberRemoved,
        events.WorkspaceCreated,
        events.WorkspaceUpdated,
        events.WorkspaceDeleted,
        events.InvitationSent,
        events.InvitationResent,
        events.InvitationRevoked,
        events.InvitationAccepted,
        events.DomainListed,
        events.DomainUnlisted,
    ],
    errors=[
        errors.UnknownOrganization,
        errors.UnknownMember,
        errors.UnknownPerson,
        errors.UnknownTeam,
        errors.UnknownWorkspace,
        errors.UnknownInvitation,
        errors.UnknownDomain,
        errors.NotAMember,
        errors.MembershipSuspended,
        errors.InvitationForAnother,
        errors.SlugTaken,
        errors.AlreadyAMember,
        errors.InvitationNotPending,
        errors.InviterMayNot,
        errors.DomainTaken,
        errors.DomainNotYours,
        errors.NotConfirmed,
        errors.TooManyOrganizations,
        errors.PlanLimitReached,
    ],
    routes=routes,
    settings=OrgsSettings,
)
