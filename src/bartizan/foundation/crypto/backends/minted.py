"""Tokens for others, by joserfc: HS256, RS256 or ES256 under a key of theirs."""

from collections.abc import Mapping
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, RSAKey

from bartizan.foundation.crypto.errors import UnusableKey

_SMALLEST_RSA = 2048


def load(algorithm: str, encoded: bytes) -> Any:
    """Read a key; raises :class:`UnusableKey`, which never repeats it."""
    try:
        if algorithm == "HS256":
            return OctKey.import_key(encoded)
        return _rsa(encoded) if algorithm == "RS256" else _elliptic(encoded)
    except (JoseError, ValueError, TypeError) as error:
        raise UnusableKey from error


def _rsa(encoded: bytes) -> RSAKey:
    key = RSAKey.import_key(encoded)
    private = key.private_key
    if private is None or private.key_size < _SMALLEST_RSA:
        raise UnusableKey
    return key


def _elliptic(encoded: bytes) -> ECKey:
    key = ECKey.import_key(encoded)
    if key.private_key is None or key.curve_name != "P-256":
        raise UnusableKey
    return key


def mint(header: Mapping[str, Any], claims: Mapping[str, Any], key: Any) -> str:
    """Sign in the compact form, by the algorithm that the header names."""
    return jwt.encode(dict(header), dict(claims), key, algorithms=[header["alg"]])
