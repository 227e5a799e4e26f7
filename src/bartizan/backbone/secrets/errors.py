"""How this room refuses."""

from bartizan.foundation.errors import Conflict, Fault, Invalid, NotFound


class UnknownSecret(NotFound):
    """No such secret in this organization."""


class SecretExists(Conflict):
    """A secret of this name exists; rotate it to change its value."""


class InvalidSecretName(Invalid):
    """A secret's name is a letter followed by letters, digits, dots, dashes or underscores."""


class TooManySecrets(Conflict):
    """The organization holds as many secrets as it may; delete one first."""


class SecretUnreadable(Fault):
    """A secret cannot be opened with the keys at hand: the key it was sealed with is missing."""
