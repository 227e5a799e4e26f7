"""How this room refuses."""

from bartizan.foundation.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated


class InvalidApiKey(Unauthenticated):
    """This is not a working API key.

    Nobody is told whether it was mistyped, unknown, expired or revoked.
    """


class UnknownApiKey(NotFound):
    """No such API key in this organization."""


class ApiKeyNotActive(Conflict):
    """The API key no longer works, so it cannot be changed."""


class ScopeTooWide(Forbidden):
    """A key can do no more than who makes it, and no more than who owns it."""


class OnlyPeopleMakeKeys(Forbidden):
    """Only a person who is signed in as themselves can make or rotate a key."""


class ExpiryNotAllowed(Invalid):
    """The key would end in the past, or last longer than keys may."""


class TooManyApiKeys(Conflict):
    """The organization has as many working keys as it may have."""
