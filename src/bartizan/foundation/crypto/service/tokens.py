"""Random tokens: what only the holder knows, and what we keep of it."""

import hashlib
import hmac
import secrets

_BYTES = 32


def make(size: int = _BYTES) -> str:
    """Make a token of ``size`` random bytes (43 characters for 32), safe in addresses and file names."""
    return secrets.token_urlsafe(size)


def digest(token: str) -> bytes:
    """Give the SHA-256 of a token: what is stored. A random token needs no salt and no slow hash."""
    return hashlib.sha256(token.encode()).digest()


def same(one: str | bytes, other: str | bytes) -> bool:
    """Compare two secrets in a time that tells nothing about where they differ."""
    left = one.encode() if isinstance(one, str) else one
    right = other.encode() if isinstance(other, str) else other
    return hmac.compare_digest(left, right)
