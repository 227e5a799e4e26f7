"""Tokens that another application checks with a key of its own."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Literal

from bartizan.foundation.crypto.errors import UnusableKey

Algorithm = Literal["HS256", "RS256", "ES256"]


class Mint:
    """Signs JSON Web Tokens (RFC 7519) by one algorithm under one key that somebody else gave us."""

    def __init__(self, algorithm: Algorithm, key: bytes, *, kid: str = "") -> None:
        """Read the key: a shared secret for HS256, else a private key in PEM. Raises ``UnusableKey``."""
        if not key.strip():
            raise UnusableKey
        self._header = {"alg": algorithm, "typ": "JWT", **({"kid": kid} if kid else {})}
        # Loaded by name: an app that needs no tokens does not load the library.
        self._backend: Any = import_module("bartizan.foundation.crypto.backends.minted")
        self._key = self._backend.load(algorithm, key)

    def token(self, claims: Mapping[str, Any]) -> str:
        """Sign ``claims``."""
        token: str = self._backend.mint(self._header, claims, self._key)
        return token
