"""Keys: what seals data at rest, what authenticates it, and what signs tokens for others to check."""

from .errors import BadToken, CannotOpen, TokenExpired, TooFewKeys, UnknownSigningKey, UnusableKey
from .service import Keyring, Mint, SigningKeys, TimedTokens, tokens
from .settings import CryptoSettings
from .types import KeySource, SigningKey

__all__ = [
    "BadToken",
    "CannotOpen",
    "CryptoSettings",
    "KeySource",
    "Keyring",
    "Mint",
    "SigningKey",
    "SigningKeys",
    "TimedTokens",
    "TokenExpired",
    "TooFewKeys",
    "UnknownSigningKey",
    "UnusableKey",
    "tokens",
]
