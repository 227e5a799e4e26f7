"""The key ring, the signing keys, and tokens."""

from . import tokens
from .keyring import Keyring
from .minting import Mint
from .signing import SigningKeys
from .timed import TimedTokens

__all__ = ["Keyring", "Mint", "SigningKeys", "TimedTokens", "tokens"]
