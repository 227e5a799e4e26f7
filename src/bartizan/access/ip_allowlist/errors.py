"""How this room refuses."""

from bartizan.foundation.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable


class AddressNotAllowed(Forbidden):
    """The address that the request comes from is not among those that may be used.

    ``your_address`` is how we see it. The rules themselves are told to nobody who is refused.
    """


class IpRulesUnread(Unavailable):
    """The rules about addresses have not been read yet, so nobody is let through."""


class InvalidIpRule(Invalid):
    """The rule cannot hold as it is written.

    ``entry`` names the address that is wrong, if one is.
    """


class WouldLockYouOut(Conflict):
    """With this change you could not come in from where you are now.

    Say ``confirm`` if that is meant. ``your_address`` is the address as we see it.
    """


class UnknownIpRule(NotFound):
    """No such rule about addresses here."""


class TooManyIpRules(Conflict):
    """There are as many rules about addresses as there may be."""
