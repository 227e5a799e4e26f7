"""How requests to other servers fail."""

from bartizan.foundation.errors import Fault, Invalid, Unavailable


class DestinationRefused(Invalid):
    """This address may not be reached from here.

    The text does not say what was found there: it would be a map of our network.
    """


class Unreachable(Unavailable):
    """The other server could not be reached, or broke off."""


class TookTooLong(Unavailable):
    """It took longer than it may."""


class AnswerTooLarge(Unavailable):
    """The other server answered with more than we take."""


class CircuitOpen(Unavailable):
    """It has failed too often lately and is left alone for a while; ``retry_after`` is in seconds."""


class MissingExtra(Fault):
    """An optional package is needed for this and not installed."""
