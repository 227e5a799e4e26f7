"""What is counted, and what comes of counting."""

from collections.abc import Sequence
from typing import Final, Literal

from bartizan.foundation.settings import MICROSECOND, Rate

Scope = Literal["organization", "browser", "user", "key", "route", "address"]

CALLERS: Final = 0
STRANGERS: Final = 1
"""Shelves: what is known of verified callers is kept apart from what anybody can make up."""

Header = tuple[bytes, bytes]
_DIGITS: Final = tuple(b"%d" % number for number in range(2048))
_TENANT: Final = b"x-ratelimit-tenant"


class Bucket:
    """One limit of one caller, with all that counting needs worked out beforehand.

    ``key`` says what is counted together, and begins with the organization; ``target`` names for people what
    is limited: the id of an organization, a person or a key, a route, an address.
    """

    __slots__ = (
        "full",
        "increment",
        "key",
        "limit",
        "name",
        "org_id",
        "policy",
        "rate",
        "shelf",
        "target",
        "tolerance",
    )

    def __init__(
        self,
        name: Scope,
        target: str,
        rate: Rate,
        *,
        org_id: str | None = None,
        who: str = "",
        shelf: int = 0,
    ) -> None:
        """``who`` tells callers apart that share the target, as those of one route."""
        self.name: Scope = name
        self.target = target
        self.rate = rate
        self.org_id = org_id
        self.shelf = shelf
        # The part in braces keeps the buckets of a request on one node of a Redis cluster.
        self.key = f"bz:limits:{{{org_id or who or target}}}:{name}:{target}:{who}"
        self.increment: int = rate.increment
        self.full: int = self.increment * rate.burst
        """Microseconds of waiting that a bucket holds when nothing is left."""
        self.tolerance: int = self.full - self.increment
        self.limit: Header = (b"ratelimit-limit", b"%d" % rate.burst)
        self.policy = b'"%b";q=%d;w=%d' % (name.encode(), rate.burst, rate.window)

    def __repr__(self) -> str:
        """Show what is limited."""
        return f"Bucket({self.name} {self.target}: {self.rate})"


class Verdict:
    """Whether a request may go on, and what is left to its caller."""

    __slots__ = ("buckets", "levels", "refused", "wait")

    def __init__(
        self,
        buckets: tuple[Bucket, ...],
        levels: Sequence[float],
        refused: Bucket | None = None,
        wait: float = 0.0,
    ) -> None:
        """``levels`` and ``wait`` are in microseconds: how long each bucket takes to be at rest again."""
        self.buckets = buckets
        self.levels = levels
        self.refused = refused
        """The bucket that has to be waited for longest; none when the request may go on."""
        self.wait = wait

    @property
    def allowed(self) -> bool:
        """Whether the request may go on."""
        return self.refused is None

    @property
    def retry_after(self) -> int:
        """Whole seconds after which the same request would be let through, if nothing else came."""
        return max(1, int(-(-self.wait // MICROSECOND))) if self.refused else 0

    def left(self, place: int) -> int:
        """Say how many more requests this bucket takes at once."""
        bucket = self.buckets[place]
        return max(0, int((bucket.full - self.levels[place]) // bucket.increment))

    @property
    def scarcest(self) -> int:
        """The place of the bucket that speaks for the answer: the one that refused, or has least left."""
        buckets = self.buckets
        if self.refused is not None:
            return buckets.index(self.refused)
        least, found = -1.0, 0
        for place, bucket in enumerate(buckets):
            left = (bucket.full - self.levels[place]) // bucket.increment
            if left < least or least < 0:
                least, found = left, place
        return found

    def headers(self) -> list[Header]:
        """Write what every answer says of the limits.

        ``RateLimit-Limit``, ``-Remaining`` and ``-Reset`` speak of the scarcest limit, as does ``RateLimit``;
        ``RateLimit-Policy`` names all (draft-ietf-httpapi-ratelimit-headers, sections 3 and 4: quota ``q`` in
        a window of ``w`` seconds, ``r`` remaining, ``t`` seconds until all are there again).
        ``X-RateLimit-Tenant`` speaks of the organization.
        """
        buckets = self.buckets
        if not buckets:
            return []
        place = self.scarcest
        bucket = buckets[place]
        left = _digits(self.left(place))
        reset = _digits(int(-(-self.levels[place] // MICROSECOND)))
        headers = [
            bucket.limit,
            (b"ratelimit-remaining", left),
            (b"ratelimit-reset", reset),
            (b"ratelimit", b'"%b";r=%b;t=%b' % (bucket.name.encode(), left, reset)),
            (b"ratelimit-policy", b", ".join([bucket.policy for bucket in buckets])),
        ]
        for place, bucket in enumerate(buckets):
            if bucket.name == "organization":
                tenant = b"limit=%b, remaining=%b" % (bucket.limit[1], _digits(self.left(place)))
                headers.append((_TENANT, tenant))
                break
        return headers


def _digits(number: int) -> bytes:
    return _DIGITS[number] if number < len(_DIGITS) else b"%d" % number
