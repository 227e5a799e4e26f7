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


def new(prefix: str) -> str:
    """Make an id such as ``key_01k9…`` (30 characters)."""
    stamp = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10)) & (1 << 74) - 1
    value = stamp << 80 | 0x7 << 76 | random >> 62 << 64 | 0b10 << 62 | random & (1 << 62) - 1
    pairs = _PAIRS
    letters = [pairs[value >> shift & 1023] for shift in range(120, -1, -10)]
    return f"{prefix}_{''.join(letters)}"


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
