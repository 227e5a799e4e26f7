"""How this room refuses."""

from bartizan.foundation.errors import Invalid, TooMany


class QuotaUsedUp(TooMany):
    """The plan's requests for this day or month are used up.

    ``resource`` names the quota, ``limit`` is how many requests it has, ``resets_at`` when it begins anew,
    and ``retry_after`` how many seconds that is from now.
    """


class InvalidRange(Invalid):
    """The range holds no moment of which figures are kept."""
