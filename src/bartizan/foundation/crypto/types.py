"""What keys are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


class KeySource(Protocol):
    """Where the secret keys are kept when it is not in the settings: Vault, a cloud's KMS, an HSM.

    It is asked once when the house starts, so that sealing and opening never wait for a network.
    """

    async def secret_keys(self) -> Sequence[str]:
        """Give the secret keys, the newest first, each with at least 256 bits of randomness."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """One ES256 key pair; the private half is sealed by the key ring."""

    kid: str
    """Its JWK thumbprint (RFC 7638)."""
    generation: int
    public: Mapping[str, Any]
    """A JWK (RFC 7517)."""
    sealed: bytes
    created_at: datetime
    starts_at: datetime
    """From when it signs; it is published before, so that everyone knows it by then."""
    ends_at: datetime | None
    """Until when it verifies; none while no other has replaced it."""


class Jose(Protocol):
    """What is needed of a JOSE library; it is loaded when a token is first signed or checked."""

    def generate(self) -> tuple[bytes, dict[str, Any], str]:
        """Make an ES256 key pair: the private half in PKCS #8, the public JWK, and its thumbprint."""
        ...

    def private_key(self, encoded: bytes) -> Any:
        """Read a private key."""
        ...

    def public_key(self, jwk: Mapping[str, Any]) -> Any:
        """Read a public key."""
        ...

    def sign(self, header: Mapping[str, Any], claims: Mapping[str, Any], key: Any) -> str:
        """Sign in the compact form."""
        ...

    def verify(self, token: str, key: Any) -> dict[str, Any]:
        """Check the signature and give the claims; raises ``BadToken``."""
        ...
