"""How this room refuses."""

from bartizan.foundation.errors import Conflict, Fault, Forbidden, Invalid, NotFound, TooMany, Unauthenticated


class WrongCredentials(Unauthenticated):
    """The login or the password is wrong, or the account cannot be used."""


class SignInLocked(TooMany):
    """Too many attempts failed; wait before you try again."""


class SignInBusy(TooMany):
    """Too many people sign in at this moment; try again in a second."""


class EmailNotVerified(Forbidden):
    """Confirm your e-mail address first: follow the link that was mailed to you."""


class RegistrationClosed(Forbidden):
    """Accounts cannot be opened here without an invitation."""


class DomainNotAllowed(Forbidden):
    """Accounts can be opened here only with an e-mail address of certain domains."""


class EmailTaken(Conflict):
    """An account with this e-mail address exists."""


class UsernameTaken(Conflict):
    """An account with this user name exists."""


class WeakPassword(Invalid):
    """The password is too easy to guess; ``reason`` says why."""


class WrongPassword(Invalid):
    """The current password is wrong."""


class LinkNotGood(Invalid):
    """The link is no longer good: it was used, replaced by a newer one, or is too old."""


class UnknownUser(NotFound):
    """There is no such account."""


class NotYourself(Conflict):
    """Operators cannot take away their own account or rank; somebody else has to."""


class NotWhileImpersonating(Forbidden):
    """This is for the account's owner alone, not for somebody who acts as them."""


class UnknownHash(Invalid):
    """The password hash has a form that cannot be verified here."""


class HashLibraryMissing(Fault):
    """Verifying bcrypt hashes needs a library: ``pip install "bartizan[import]"``."""


class BreachFileUnreadable(Fault):
    """The file of breached passwords is missing or not made of five-byte entries."""
