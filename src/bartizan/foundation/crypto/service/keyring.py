"""The key ring: seals data at rest and authenticates it, under keys derived from the secret keys."""

import hmac
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from bartizan.foundation.crypto.errors import CannotOpen, TooFewKeys
from bartizan.foundation.crypto.types import KeySource

_VERSION = b"\x01"
_ID, _WRAPPED, _NONCE, _TAG = 8, 40, 12, 16
_HEAD = len(_VERSION) + _ID + _WRAPPED
_SMALLEST = _HEAD + _NONCE + _TAG


class _Key:
    """What is derived from one secret key (HKDF, RFC 5869)."""

    __slots__ = ("id", "mac", "wrap")

    def __init__(self, secret: str) -> None:
        def derive(use: bytes, size: int) -> bytes:
            kdf = HKDF(hashes.SHA256(), size, salt=b"bartizan keyring 1", info=use)
            return kdf.derive(secret.encode())

        self.id = derive(b"id", _ID)
        self.wrap = derive(b"wrap", 32)
        self.mac = derive(b"mac", 32)


class Keyring:
    """Seals with the newest secret key, opens with any of them.

    Each plaintext has a data key of its own (AES-256-GCM); the data key is wrapped (AES-256, RFC 3394)
    by a key derived from a secret key. The wrapping needs no nonce, so a secret key wears out only with
    AES itself. To rotate: put a new secret key before the old ones, :meth:`rewrap` what is stored at
    leisure, then take the old key away. The layout is: version (1 byte), key id (8), wrapped data key
    (40), nonce (12), ciphertext with its tag (16 more than the plaintext).
    """

    def __init__(self, secret_keys: Sequence[str]) -> None:
        """Derive the ring from secret keys, the newest first."""
        if not secret_keys or not all(secret_keys):
            raise TooFewKeys
        self._keys = [_Key(secret) for secret in secret_keys]
        self._by_id = {key.id: key for key in self._keys}

    @classmethod
    async def from_source(cls, source: KeySource) -> "Keyring":
        """Derive the ring from secret keys that are kept elsewhere."""
        return cls(await source.secret_keys())

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """Encrypt; only the same ``context`` opens it, such as ``b"secret " + id``. Adds 77 bytes."""
        data_key, nonce, newest = os.urandom(32), os.urandom(_NONCE), self._keys[0]
        box = AESGCM(data_key).encrypt(nonce, plaintext, _VERSION + context)
        return b"".join((_VERSION, newest.id, aes_key_wrap(newest.wrap, data_key), nonce, box))

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Decrypt; raises :class:`CannotOpen` without saying which check failed."""
        data_key = self._data_key(sealed)
        try:
            nonce, box = sealed[_HEAD : _HEAD + _NONCE], sealed[_HEAD + _NONCE :]
            return AESGCM(data_key).decrypt(nonce, box, _VERSION + context)
        except InvalidTag as error:
            raise CannotOpen from error

    def current(self, sealed: bytes) -> bool:
        """Tell whether it is sealed under the newest secret key."""
        return sealed[1 : 1 + _ID] == self._keys[0].id

    def rewrap(self, sealed: bytes) -> bytes:
        """Put it under the newest secret key: the data key is wrapped anew, the data stays as it is."""
        newest = self._keys[0]
        wrapped = aes_key_wrap(newest.wrap, self._data_key(sealed))
        return b"".join((_VERSION, newest.id, wrapped, sealed[_HEAD:]))

    def mac(self, purpose: str, data: bytes) -> bytes:
        """Authenticate ``data`` (HMAC-SHA-256) under a key of its own for each ``purpose``.

        The newest secret key is used. What is kept longer than a secret key lives is looked up with
        :meth:`macs`, and compared with :meth:`verify_mac`.
        """
        return _mac(self._keys[0], purpose, data)

    def macs(self, purpose: str, data: bytes) -> Sequence[bytes]:
        """Give what :meth:`mac` gives or gave under each secret key, the newest first."""
        return [_mac(key, purpose, data) for key in self._keys]

    def verify_mac(self, purpose: str, data: bytes, mac: bytes) -> bool:
        """Tell whether ``mac`` was made by any secret key of the ring, in constant time."""
        return any([hmac.compare_digest(one, mac) for one in self.macs(purpose, data)])  # noqa: C419 - all of them

    def _data_key(self, sealed: bytes) -> bytes:
        key = self._by_id.get(sealed[1 : 1 + _ID])
        if key is None or sealed[:1] != _VERSION or len(sealed) < _SMALLEST:
            raise CannotOpen
        try:
            return aes_key_unwrap(key.wrap, sealed[1 + _ID : _HEAD])
        except InvalidUnwrap as error:
            raise CannotOpen from error


def _mac(key: _Key, purpose: str, data: bytes) -> bytes:
    # One step of HKDF-Expand (RFC 5869, 2.3) gives each purpose its key.
    return hmac.digest(hmac.digest(key.mac, purpose.encode() + b"\x01", "sha256"), data, "sha256")
