"""Keyrings for tests: one, and what it looks like after a rotation."""

from bartizan.foundation.crypto import Keyring


def keyring() -> Keyring:
    return Keyring()


def newer(old: Keyring) -> tuple[Keyring, Keyring]:
    """Give a keyring with a new key that still opens the old, and one with the new key alone."""
    raise NotImplementedError
