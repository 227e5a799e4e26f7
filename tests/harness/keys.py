"""Keyrings for tests: one, and what it looks like after a rotation."""

from bartizan.foundation.crypto import Keyring

OLD, NEW = "an old secret key of a test, long enough", "the next secret key of a test, long enough"


def keyring() -> Keyring:
    return Keyring([OLD])


def newer() -> tuple[Keyring, Keyring]:
    """Give a keyring with a new key that still opens the old, and one with the new key alone."""
    return Keyring([NEW, OLD]), Keyring([NEW])
