"""What is counted, and what comes of counting."""

from collections.abc import Sequence
from typing import Final, Literal

from bartizan.foundation.settings import MICROSECOND, Rate

Scope = Literal["organization", "browser", "user", "key", "route", "address"]

CALLERS: Final = 0
STRANGERS: Final = 1
"""Shelves: what is known of verified callers is kept apart from what anybody can make up."""

Header = tuple[bytes, bytes]
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
        "name_bytes",
        "org_id",
        "packed",
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
        self.packed: tuple[bytes, bytes] | None = None
        """What a backend has to send for it, once it was written."""
        self.name_bytes = name.encode()
        self.policy = b'"%b";q=%d;w=%d' % (self.name_bytes, rate.burst, rate.window)

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

    @property
    def left(self) -> Sequence[int]:
        """Say how many more requests each bucket takes at once."""
        return [
            int((bucket.full - level) // bucket.increment) if level < bucket.full else 0
            for bucket, level in zip(self.buckets, self.levels, strict=True)
        ]

    def headers(self) -> list[Header]:
        """Write what every answer says of the limits.

        ``RateLimit-Limit``, ``-Remaining`` and ``-Reset`` speak of the limit that refused, or has least left,
        as does ``RateLimit``; ``RateLimit-Policy`` names all (draft-ietf-httpapi-ratelimit-headers-10: quota
        ``q`` in a window of ``w`` seconds, ``r`` remaining, ``t`` seconds until all are there again).
        ``X-RateLimit-Tenant`` speaks of the organization.
        """
        buckets = self.buckets
        if not buckets:
            return []
        left = self.left
        place = left.index(min(left)) if self.refused is None else buckets.index(self.refused)
        bucket = buckets[place]
        remaining = _REMAINING[left[place]] if left[place] < _KNOWN else _remaining(left[place])
        seconds = int(-(-self.levels[place] // MICROSECOND))
        reset = _RESET[seconds] if seconds < _KNOWN else _reset(seconds)
        first = buckets[0]
        headers = [
            bucket.limit,
            remaining,
            reset,
            (b"ratelimit", b'"%b";r=%b;t=%b' % (bucket.name_bytes, remaining[1], reset[1])),
            (b"ratelimit-policy", b", ".join([one.policy for one in buckets])),
        ]
        if first.name == "organization":
            headers.append((_TENANT, b"limit=%b, remaining=%d" % (first.limit[1], left[0])))
        return headers


def _remaining(number: int) -> Header:
    return b"ratelimit-remaining", b"%d" % number


def _reset(number: int) -> Header:
    return b"ratelimit-reset", b"%d" % number


_KNOWN: Final = 2048
_REMAINING: Final = tuple(_remaining(number) for number in range(_KNOWN))
_RESET: Final = tuple(_reset(number) for number in range(_KNOWN))
