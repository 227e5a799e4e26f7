"""Identifiers: a three-letter prefix, an underscore, and a UUIDv7 in 26 letters.

The letters are Crockford's base32 in lower case (as in TypeID 0.3), so ids sort by the
millisecond of their making and survive a double click. UUIDv7 is RFC 9562, section 5.7.
"""

import os
import re
import time
from uuid import UUID

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_FORM = re.compile(r"[a-z]{3}_[0-7][0-9a-hjkmnp-tv-z]{25}")
_PAIRS = tuple(a + b for a in _ALPHABET for b in _ALPHABET)

_MOST = (1 << 20) - 1


def new(prefix: str) -> str:
    """Make an id such as ``key_01k9…`` (30 characters)."""
    stamp = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10)) & (1 << 74) - 1
    value = stamp << 80 | 0x7 << 76 | random >> 62 << 64 | 0b10 << 62 | random & (1 << 62) - 1
    pairs = _PAIRS
    letters = [pairs[value >> shift & 1023] for shift in range(120, -1, -10)]
    return f"{prefix}_{''.join(letters)}"


class Stream:
    """Makes many ids of one kind at little cost, for what need not be hard to guess, such as requests.

    Each second begins with a new UUIDv7, and its last twenty bits count on from there (RFC 9562, section
    6.2, method 2), so ids stay in order and no two are alike.
    """

    __slots__ = ("_base", "_count", "_prefix", "_until")

    def __init__(self, prefix: str) -> None:
        """Make ids with this prefix."""
        self._prefix = prefix
        self._base, self._count, self._until = "", _MOST, 0.0

    def new(self, now: float) -> str:
        """Make the next id; ``now`` is any count of seconds that never runs backwards."""
        count = self._count = self._count + 1
        if count > _MOST or now >= self._until:
            self._base, self._until = new(self._prefix)[:-4], now + 1
            count = self._count = int.from_bytes(os.urandom(2))
        return f"{self._base}{_PAIRS[count >> 10]}{_PAIRS[count & 1023]}"


def valid(text: str, prefix: str | None = None) -> bool:
    """Tell whether ``text`` has the form of an id, and of the kind ``prefix`` if one is named."""
    return bool(_FORM.fullmatch(text)) and (prefix is None or text[:3] == prefix)


def uuid_of(text: str) -> UUID:
    """Give the UUIDv7 inside an id; ``ValueError`` when it is not one."""
    if not valid(text):
        message = f"{text[:40]!r} is not an id"
        raise ValueError(message)
    value = 0
    for letter in text[4:]:
        value = value << 5 | _VALUES[letter]
    return UUID(int=value)
