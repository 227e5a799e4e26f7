"""How keys refuse."""

from bartizan.foundation.errors import Fault, NotFound, Unauthenticated


class BadToken(Unauthenticated):
    """This token is not one of ours, or not for this use."""


class TokenExpired(BadToken):
    """This token was good once; its time is over."""


class CannotOpen(Fault):
    """No key of this house opens this: it was sealed elsewhere, for another use, or it was changed.

    When the secret key was replaced, put the old one back behind the new: both open, the first seals.
    """


class TooFewKeys(Fault):
    """A key ring needs at least one secret key."""


class UnknownSigningKey(NotFound):
    """There is no such signing key."""


class UnusableKey(Fault):
    """The key that tokens for the app are signed with cannot be read, is too small, or is of another kind."""
