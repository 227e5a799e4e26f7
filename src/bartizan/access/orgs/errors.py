"""How this room refuses."""

from bartizan.foundation.errors import Conflict, Forbidden, Invalid, NotFound, PaymentRequired


class UnknownOrganization(NotFound):
    """No such organization for you."""


class UnknownMember(NotFound):
    """No such member in this organization."""


class UnknownPerson(NotFound):
    """No such person, or not an active one."""


class UnknownTeam(NotFound):
    """No such team in this organization."""


class UnknownWorkspace(NotFound):
    """No such workspace in this organization."""


class UnknownInvitation(NotFound):
    """No such invitation, or it is no longer good."""


class UnknownDomain(NotFound):
    """The organization does not list this domain."""


class NotAMember(Forbidden):
    """You are not a member of this organization or team."""


class MembershipSuspended(Forbidden):
    """Your membership of this organization is suspended."""


class InvitationForAnother(Forbidden):
    """The invitation was sent to another address than yours."""


class SlugTaken(Conflict):
    """Another organization, team or workspace has this short name."""


class AlreadyAMember(Conflict):
    """The person is a member already."""


class InvitationNotPending(Conflict):
    """The invitation was accepted or revoked already."""


class InviterMayNot(Conflict):
    """Who sent the invitation may no longer give its role; ask for a new one."""


class DomainTaken(Conflict):
    """An organization lists this domain already."""


class DomainNotYours(Forbidden):
    """You can list only the domain of your own e-mail address, and none that anybody can have."""


class NotConfirmed(Invalid):
    """Repeat the organization's short name to confirm."""


class TooManyOrganizations(Conflict):
    """You own as many organizations as one person may."""


class PlanLimitReached(PaymentRequired):
    """The plan does not include more of this."""
