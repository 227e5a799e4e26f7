"""ES256 by joserfc; the algorithm is named at every call and never read from the token."""

from collections.abc import Mapping
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry

from bartizan.foundation.crypto.errors import BadToken

_ALGORITHMS = ["ES256"]


def generate() -> tuple[bytes, dict[str, Any], str]:
    """Make a key pair: private in PKCS #8 (PEM), public as a JWK, and the RFC 7638 thumbprint."""
    key = ECKey.generate_key("P-256", private=True, auto_kid=False)
    return key.as_pem(private=True), dict(key.as_dict(private=False)), key.thumbprint()


def private_key(encoded: bytes) -> ECKey:
    """Read a private key."""
    return ECKey.import_key(encoded)


def public_key(jwk: Mapping[str, Any]) -> ECKey:
    """Read a public key."""
    return ECKey.import_key({name: jwk[name] for name in ("kty", "crv", "x", "y")})


def sign(header: Mapping[str, Any], claims: Mapping[str, Any], key: ECKey) -> str:
    """Sign in the compact form."""
    return jwt.encode(dict(header), dict(claims), key, algorithms=_ALGORITHMS, registry=_registry())


def verify(token: str, key: ECKey) -> dict[str, Any]:
    """Check the signature and give the claims."""
    try:
        return jwt.decode(token, key, algorithms=_ALGORITHMS, registry=_registry()).claims
    except (JoseError, ValueError, TypeError) as error:
        raise BadToken from error


def _registry() -> JWSRegistry:
    return JWSRegistry(algorithms=_ALGORITHMS, strict_check_header=True)
