"""How this room refuses."""

from bartizan.foundation.errors import Conflict, Forbidden, NotFound, Unauthenticated


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


class OwnerLinkNotGood(Forbidden):
    """The owner's link was used, replaced, or is too old; `bartizan owner link` makes another."""
