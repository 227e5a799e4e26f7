"""How a key is written: a prefix for people and scanners, 30 random characters, and a checksum."""

import re
import string
from secrets import choice
from zlib import crc32

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM, _CHECK, _SHOWN = 30, 6, 8


class Form:
    """The form of keys: ``btz_live_`` or ``btz_test_``, then base62; 179 bits that nobody can guess.

    The checksum (CRC-32 of all that stands before it) tells a mistyped or invented key from a real one
    without asking the database. It proves nothing about who made the key.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._pattern = re.compile(rf"{prefix}_(?:live|test)_[0-9A-Za-z]{{{_RANDOM + _CHECK}}}")

    def begins(self, text: str) -> bool:
        """Tell whether a text begins like a key."""
        return text.startswith(f"{self._prefix}_")

    def make(self, mode: str) -> str:
        """Make a new key."""
        text = f"{self._prefix}_{mode}_" + "".join(choice(_DIGITS) for _ in range(_RANDOM))
        return text + _checksum(text)

    def fits(self, text: str) -> bool:
        """Tell whether a text has the form of a key and the right checksum."""
        return bool(self._pattern.fullmatch(text)) and _checksum(text[:-_CHECK]) == text[-_CHECK:]

    def hint(self, secret: str) -> str:
        """Give as much of a key as may be shown: its prefix and 8 of its characters."""
        return secret[: len(secret) - _RANDOM - _CHECK + _SHOWN]


def _checksum(text: str) -> str:
    value, digits = crc32(text.encode()), ""
    for _ in range(_CHECK):
        value, digit = divmod(value, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits
