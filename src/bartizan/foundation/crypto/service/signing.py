"""Signing keys: ES256 tokens that anyone can check, under keys that are replaced in time."""

import base64
import binascii
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any, cast

from bartizan.foundation.clock import Clock
from bartizan.foundation.crypto.errors import BadToken, TokenExpired, UnknownSigningKey
from bartizan.foundation.crypto.settings import CryptoSettings
from bartizan.foundation.crypto.store import SigningKeyStore
from bartizan.foundation.crypto.types import Jose, SigningKey
from bartizan.foundation.database import Database

from .keyring import Keyring

_LONGEST_TOKEN = 8192
_LONGEST_HEADER = 512
_FRESH = 5.0
"""Seconds for which a replica trusts what it read of the keys."""
_ALGORITHM = "ES256"
_LAST_TIME = 2**53
"""What JavaScript and JSON count up to without loss."""
_TIMES = ("exp", "iat", "nbf")


@dataclass(slots=True)
class _Ring:
    keys: Sequence[SigningKey]
    read_at: float
    public: dict[str, Any] = field(default_factory=dict[str, Any])

    def current(self, now: datetime) -> SigningKey | None:
        """Give the newest key that has started; all replicas choose the same."""
        started = [key for key in self.keys if key.starts_at <= now and not _over(key, now)]
        return max(started, key=lambda key: key.generation, default=None)


class SigningKeys:
    """Signs and verifies JSON Web Tokens: RFC 7519 with ES256, and RFC 8725 for how to check them."""

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        settings: CryptoSettings | None = None,
        *,
        clock: Clock,
        issuer: str = "bartizan",
        audience: str = "bartizan",
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._settings = settings or CryptoSettings()
        self._clock = clock
        self._issuer = issuer
        self._audience = audience
        self._ring: _Ring | None = None
        self._private: tuple[str, Any] | None = None
        self._uncommitted: str | None = None

    async def sign(
        self, claims: Mapping[str, Any], *, typ: str, lifetime: int | None = None, audience: str | None = None
    ) -> str:
        """Sign ``claims`` as a token of the kind ``typ``, such as ``at+jwt``, good for ``lifetime`` seconds.

        ``iss``, ``aud``, ``iat``, ``nbf``, ``exp`` and ``jti`` are added where ``claims`` do not have them.
        """
        now = self._clock.now()
        key = await self._current(now)
        stamp = int(now.timestamp())
        full = {
            "iss": self._issuer,
            "aud": audience or self._audience,
            "iat": stamp,
            "nbf": stamp,
            "exp": stamp + (lifetime or self._settings.token_lifetime),
            "jti": secrets.token_urlsafe(16),
            **claims,
        }
        if self._private is None or self._private[0] != key.kid:
            encoded = self._keyring.open(key.sealed, _context(key.kid))
            self._private = (key.kid, _jose().private_key(encoded))
        return _jose().sign({"alg": _ALGORITHM, "kid": key.kid, "typ": typ}, full, self._private[1])

    async def verify(self, token: str, *, typ: str, audience: str | None = None) -> dict[str, Any]:
        """Give the claims of a token that we signed as ``typ`` for ``audience`` and that is still good.

        Raises :class:`BadToken`, or :class:`TokenExpired` when only its time is over. To deny a single
        token, remember its ``jti``: the same token can be written in more than one way.
        """
        kid = _kid(token, typ)
        ring = await self._find(kid)
        key = next((key for key in ring.keys if key.kid == kid), None)
        now = self._clock.now()
        if key is None or _over(key, now):
            raise BadToken
        public = ring.public.get(kid) or ring.public.setdefault(kid, _jose().public_key(key.public))
        claims = _jose().verify(token, public)
        self._check(claims, int(now.timestamp()), audience or self._audience)
        return claims

    async def jwks(self) -> dict[str, Any]:
        """Give the public keys as a JWK Set (RFC 7517): those that verify, and the next one ahead of time.

        It may be kept for as long as a key is published ahead, five minutes by default.
        """
        now = self._clock.now()
        await self._current(now)
        ring = await self._fresh()
        return {
            "keys": [
                {**key.public, "kid": key.kid, "use": "sig", "alg": _ALGORITHM}
                for key in ring.keys
                if not _over(key, now)
            ]
        }

    async def rotate(self, *, at_once: bool = False) -> SigningKey:
        """Replace the signing key; the new one is published first and signs a little later.

        Tokens of the old key stay good during the overlap. ``at_once`` is for a key that leaked: the new
        one signs immediately, and within seconds every older token is refused by every replica.
        """
        now = self._clock.now()
        async with self._database.transaction() as session:
            store = SigningKeyStore(session)
            keys = await store.all()
            start = now if at_once or not keys else now + timedelta(seconds=self._settings.publish_ahead)
            key = self._make(keys, now, start)
            await store.add(key)
            end = now if at_once else start + timedelta(seconds=self._settings.overlap)
            await store.end(key.generation, end)
            await store.forget(now)
            self._database.after_commit(self._forget)
            keys = await store.all()
        return keys[0]

    async def rotate_if_due(self) -> SigningKey | None:
        """Replace the signing key if it has served its time; for a daily schedule."""
        ring = await self._fresh()
        limit = timedelta(seconds=self._settings.rotate_after)
        if ring.keys and ring.keys[0].starts_at + limit > self._clock.now():
            return None
        return await self.rotate()

    async def newest(self) -> SigningKey | None:
        """Give the newest key; none before the first token was signed."""
        async with self._database.reading() as session:
            return next(iter(await SigningKeyStore(session).all()), None)

    def open(self, key: SigningKey) -> None:
        """Open the private half of a key, to see that it opens; raises ``CannotOpen``."""
        self._keyring.open(key.sealed, _context(key.kid))

    async def outdated(self) -> int:
        """Count the keys that are not sealed under the newest secret key."""
        async with self._database.reading() as session:
            keys = await SigningKeyStore(session).all()
        return sum(not self._keyring.current(key.sealed) for key in keys)

    async def withdraw(self, kid: str) -> None:
        """Stop trusting one key, at once; raises :class:`UnknownSigningKey`. Another is made if it signed."""
        async with self._database.transaction() as session:
            store = SigningKeyStore(session)
            key = next((key for key in await store.all() if key.kid == kid), None)
            if key is None:
                raise UnknownSigningKey(kid=kid)
            await store.remove(kid)
            self._database.after_commit(self._forget)

    async def rewrap(self) -> int:
        """Put private keys under the newest secret key; gives how many were not."""
        async with self._database.transaction() as session:
            store = SigningKeyStore(session)
            old = [key for key in await store.all() if not self._keyring.current(key.sealed)]
            for key in old:
                await store.reseal(key.kid, self._keyring.rewrap(key.sealed))
        return len(old)

    async def _current(self, now: datetime) -> SigningKey:
        ring = await self._fresh()
        return ring.current(now) or await self._first(now)

    async def _first(self, now: datetime) -> SigningKey:
        """Make the first key; of several replicas that start together, one succeeds and all use its key."""
        async with self._database.transaction() as session:
            store = SigningKeyStore(session)
            keys = await store.all()
            if not _Ring(keys, 0).current(now):
                key = self._make(keys, now, now)
                await store.add(key)
                keys = await store.all()
                # Whether it stays is known when the caller's transaction has committed.
                self._ring, self._uncommitted = None, key.kid
            ring = _Ring(keys, self._clock.monotonic())
            self._database.after_commit(lambda: self._remember(ring))
        return cast("SigningKey", ring.current(now))

    def _make(self, keys: Sequence[SigningKey], now: datetime, start: datetime) -> SigningKey:
        private, public, kid = _jose().generate()
        return SigningKey(
            kid=kid,
            generation=max((key.generation for key in keys), default=0) + 1,
            public=public,
            sealed=self._keyring.seal(private, _context(kid)),
            created_at=now,
            starts_at=start,
            ends_at=None,
        )

    async def _find(self, kid: str) -> _Ring:
        """Look the key up; an unknown name makes us read again, but not for every token of a flood."""
        ring = await self._fresh()
        if all(key.kid != kid for key in ring.keys) and self._clock.monotonic() - ring.read_at >= 1:
            ring = await self._read()
        return ring

    async def _fresh(self) -> _Ring:
        ring = self._ring
        if ring is None or self._clock.monotonic() - ring.read_at >= _FRESH:
            ring = await self._read()
        return ring

    async def _read(self) -> _Ring:
        if self._ring:
            self._ring.read_at = self._clock.monotonic()  # one reads, the others go on with what they have
        async with self._database.reading() as session:
            ring = _Ring(await SigningKeyStore(session).all(), self._clock.monotonic())
        if all(key.kid != self._uncommitted for key in ring.keys):
            self._ring = ring
        return ring

    def _remember(self, ring: _Ring) -> None:
        self._ring, self._uncommitted = ring, None

    def _forget(self) -> None:
        self._ring = None

    def _check(self, claims: Mapping[str, Any], now: int, audience: str) -> None:
        """Check every claim, and its type: RFC 7519 does not say what to do with a list or a text."""
        times = [claims.get(name) for name in _TIMES]
        if not all(type(time) is int and 0 <= time < _LAST_TIME for time in times):
            raise BadToken
        if claims.get("iss") != self._issuer or claims.get("aud") != audience:
            raise BadToken
        skew = self._settings.token_skew
        if claims["nbf"] > now + skew or claims["iat"] > now + skew:
            raise BadToken
        if claims["exp"] <= now:
            raise TokenExpired


def _over(key: SigningKey, now: datetime) -> bool:
    return key.ends_at is not None and key.ends_at <= now


def _kid(token: str, typ: str) -> str:
    """Give the name of the key; the header must say exactly what our headers say, and nothing more."""
    parts = token.split(".", 3) if len(token) <= _LONGEST_TOKEN else []
    if len(parts) != len(("header", "claims", "signature")) or len(parts[0]) > _LONGEST_HEADER:
        raise BadToken
    try:
        text = parts[0]
        header = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise BadToken from error
    kid = cast("dict[str, Any]", header).get("kid") if isinstance(header, dict) else None
    if not isinstance(kid, str) or header != {"alg": _ALGORITHM, "kid": kid, "typ": typ}:
        raise BadToken
    return kid


def _context(kid: str) -> bytes:
    return b"signing key " + kid.encode()


def _jose() -> Jose:
    return cast("Jose", import_module("bartizan.foundation.crypto.backends.jose"))
