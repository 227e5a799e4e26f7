"""How this room refuses."""

from bartizan.foundation.errors import Conflict, Forbidden, Invalid, NotFound, TooMany, Unavailable


class TooManyRequests(TooMany):
    """A limit is used up; wait for ``retry_after`` seconds.

    ``scope`` says whose limit it is (organization, user, key, browser, route, address), ``limit`` how many
    may come at once, ``rate`` how they come back.
    """


class LimitsUnavailable(Unavailable):
    """Requests cannot be counted now, and this limit is set to refuse rather than to guess."""


class SharedLimitsGone(Unavailable):
    """Redis, which counts for all processes, does not answer."""


class RedisNotInstalled(Unavailable):
    """Counting in Redis needs a library: ``pip install "bartizan[redis]"``."""


class UnknownLimit(NotFound):
    """No such limit was set in this organization."""


class LimitTarget(Invalid):
    """The target does not fit the scope of the limit."""


class LimitTooWide(Forbidden):
    """An organization gives none of its own more than it has itself."""


class TooManyLimits(Conflict):
    """The organization has as many limits of its own as it may have."""
