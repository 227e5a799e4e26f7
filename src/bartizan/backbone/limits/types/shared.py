"""What counts for several processes together."""

from typing import Protocol

from .bucket import Bucket, Verdict


class Shared(Protocol):
    """Counts for all processes in one place; refuses with ``SharedLimitsGone`` when that does not answer."""

    async def take(self, buckets: tuple[Bucket, ...]) -> Verdict:
        """Take one from every bucket, or nothing from any."""
        ...

    async def ping(self) -> None:
        """Return when the place answers."""
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...
