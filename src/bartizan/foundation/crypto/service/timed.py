"""Short texts that we hand out and know again for a while: states, links, confirmations."""

import base64
import binascii
from datetime import timedelta

from bartizan.foundation.clock import Clock
from bartizan.foundation.crypto.errors import BadToken, TokenExpired

from .keyring import Keyring

_MAC = 32
_STAMP = 8
_LONGEST = 4096


class TimedTokens:
    """Makes tokens that carry a text and a time; nothing is stored, so they cannot be taken back."""

    def __init__(self, keyring: Keyring, *, clock: Clock) -> None:
        self._keyring = keyring
        self._clock = clock

    def issue(self, purpose: str, text: str, lifetime: timedelta) -> str:
        """Make a token for ``purpose``. Its text can be read by whoever holds it, but not changed."""
        ends = int((self._clock.now() + lifetime).timestamp())
        body = ends.to_bytes(_STAMP) + text.encode()
        signed = self._keyring.mac(f"timed token {purpose}", body) + body
        return base64.urlsafe_b64encode(signed).rstrip(b"=").decode()

    def check(self, purpose: str, token: str) -> str:
        """Give the text back; raises :class:`BadToken`, or :class:`TokenExpired` when it was good once."""
        try:
            padded = token[:_LONGEST] + "=" * (-len(token) % 4)
            signed = base64.b64decode(padded, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadToken from error
        body = signed[_MAC:]
        if len(token) > _LONGEST or len(body) < _STAMP:
            raise BadToken
        if not self._keyring.verify_mac(f"timed token {purpose}", body, signed[:_MAC]):
            raise BadToken
        if self._clock.now().timestamp() >= int.from_bytes(body[:_STAMP]):
            raise TokenExpired
        return body[_STAMP:].decode()
