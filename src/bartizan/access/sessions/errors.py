"""How this room refuses."""

from bartizan.foundation.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated


class SessionOver(Unauthenticated):
    """The session has ended, or there never was one; sign in again."""


class TokenOutdated(Unauthenticated):
    """The token names another organization than the session acts for now; refresh it."""


class RefreshNotGood(Unauthenticated):
    """The refresh token is unknown, too old, or its session has ended; sign in again."""


class RefreshUsedBefore(Unauthenticated):
    """The refresh token was used before, so it may be stolen: the session has ended; sign in again."""


class UnknownSession(NotFound):
    """There is no such session."""


class NoSession(Conflict):
    """This is for people who have signed in, not for keys."""


class AlreadyImpersonating(Conflict):
    """You act as somebody else already; stop that first."""


class NotImpersonating(Conflict):
    """You act as yourself."""


class CannotImpersonate(Forbidden):
    """You cannot act as this person."""


class OwnerExists(Conflict):
    """This installation has its first owner already; ask them for an invitation."""


class OwnerLinkNotGood(Invalid):
    """The link is not good or too old; print another one with `bartizan owner link`."""
