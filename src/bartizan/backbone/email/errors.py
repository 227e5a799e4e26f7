"""How this room refuses, and how a delivery fails."""

from bartizan.foundation.errors import Fault, Invalid, NotFound, Unavailable


class UnknownEmail(NotFound):
    """No such e-mail in this organization."""


class InvalidAddress(Invalid):
    """This is not an e-mail address that mail can be sent to."""


class InvalidAttachment(Invalid):
    """The attachment's name or type is not allowed, or the attachments are too large."""


class UnknownTemplate(Fault):
    """No e-mail template of this name exists."""


class BrokenTemplate(Fault):
    """An e-mail template cannot be rendered with the data it was given."""


class DeliveryDelayed(Unavailable):
    """The mail server could not take the mail now; it is tried again."""


class DeliveryRefused(Fault):
    """The mail server refused the mail for good."""


class UnreadableMail(Fault):
    """A queued mail cannot be opened with the keys at hand."""
