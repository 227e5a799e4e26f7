"""Passwords that were stolen somewhere: a file of the operator's, or a service that learns five digits."""

import hashlib
import mmap
from pathlib import Path

from bartizan.access.identity.errors import BreachFileUnreadable
from bartizan.foundation.errors import BartizanError
from bartizan.foundation.http import MissingExtra, Outbound

_WIDTH = 5
_TOP = (1 << 8 * _WIDTH) - 1
_SAMPLES = 1000
_PATIENCE = 1.5


class BreachFile:
    """Sorted five-byte prefixes of SHA-1 digests, read in place: 5 MB for a million, some 10 microseconds."""

    def __init__(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            message = f"{path}: {error}"
            raise BreachFileUnreadable(message) from error
        self._count, rest = divmod(len(self._map), _WIDTH)
        samples = [self._at(place) for place in range(0, self._count, max(1, self._count // _SAMPLES))]
        if rest or samples != sorted(samples):
            message = f"{path}: not made of sorted entries of {_WIDTH} bytes"
            raise BreachFileUnreadable(message)

    def __contains__(self, password: str) -> bool:
        """Tell whether the password's digest begins like one in the file."""
        wanted = int.from_bytes(_digest(password)[:_WIDTH])
        low, high, least, most = 0, self._count - 1, 0, _TOP
        # Digests are spread evenly, so the value itself says about where it would stand.
        while low <= high and least <= wanted <= most:
            middle = low + (wanted - least) * (high - low) // max(most - least, 1)
            found = self._at(middle)
            if found == wanted:
                return True
            if found < wanted:
                low, least = middle + 1, found + 1
            else:
                high, most = middle - 1, found - 1
        return False

    def close(self) -> None:
        """Let go of the file."""
        self._map.close()

    def _at(self, place: int) -> int:
        return int.from_bytes(self._map[place * _WIDTH : (place + 1) * _WIDTH])


class BreachService:
    """A range service: it is told five hex digits of a digest and answers with all that begin so."""

    def __init__(self, outbound: Outbound, url: str) -> None:
        self._outbound = outbound
        self._url = url

    async def knows(self, password: str) -> bool:
        """Ask; raises ``ServiceSilent`` when there is no answer that makes sense within 1.5 seconds."""
        digits = _digest(password).hex().upper()
        try:
            answer = await self._outbound.get(
                self._url + digits[:5], headers={"Add-Padding": "true"}, timeout=_PATIENCE, once=True
            )
        except MissingExtra:
            raise
        except BartizanError as error:
            raise ServiceSilent(type(error).__name__) from error
        if answer.status != 200:  # noqa: PLR2004 - the one status that carries the list
            raise ServiceSilent(f"status {answer.status}")
        for line in answer.body.decode("ascii", "replace").splitlines():
            rest, _, count = line.strip().partition(":")
            if rest == digits[5:]:
                return bool(count.isdecimal() and int(count) > 0)
        return False


class ServiceSilent(Exception):
    """The service did not answer, so nothing is known about the password."""


def _digest(password: str) -> bytes:
    return hashlib.sha1(password.encode(), usedforsecurity=False).digest()
