"""A key for each person, so that one person's details can be made unreadable everywhere at once."""

import json
import os
from collections.abc import Collection, Mapping, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bartizan.backbone.audit.store import AuditWriter
from bartizan.backbone.audit.types import Detail, salted
from bartizan.foundation.clock import Clock
from bartizan.foundation.crypto import Keyring
from bartizan.foundation.database import Database

_KEPT = 2_000
_SECONDS = 60.0
_NONCE = 12
_SEEN = frozenset({"ip", "user_agent"})


class SubjectKeys:
    """Data keys by subject, wrapped by the key ring; a few are kept in memory for a minute."""

    def __init__(self, database: Database, keyring: Keyring, clock: Clock) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._cache: dict[str, tuple[float, AESGCM | None]] = {}

    async def for_writing(self, subjects: Collection[str]) -> Mapping[str, AESGCM | None]:
        """Give each subject's key, made now for a new one; none for a subject that was erased."""
        now = self._clock.monotonic()
        known = {s: kept[1] for s in subjects if (kept := self._cache.get(s)) and kept[0] > now}
        missing = sorted(set(subjects) - known.keys())  # sorted: one order of locks for everybody
        if not missing:
            return known
        async with self._database.transaction() as session:
            writer = AuditWriter(session)
            wrapped = await writer.keys(missing)
            if fresh := [subject for subject in missing if subject not in wrapped]:
                made_at = self._clock.now()
                rows = [
                    {
                        "subject_id": s,
                        "wrapped": self._keyring.seal(os.urandom(32), _context(s)),
                        "created_at": made_at,
                    }
                    for s in fresh
                ]
                await writer.add_keys(rows)
                wrapped |= await writer.keys(fresh)
            opened = {subject: self._unwrap(subject, blob) for subject, blob in wrapped.items()}
            self._database.after_commit(lambda: self._keep(opened))
        return {**known, **opened}

    async def for_reading(self, subjects: Collection[str]) -> Mapping[str, AESGCM]:
        """Give the keys that still exist, as the database has them now."""
        if not subjects:
            return {}
        async with self._database.reading() as session:
            wrapped = await AuditWriter(session).keys(subjects)
        opened = {subject: self._unwrap(subject, blob) for subject, blob in wrapped.items()}
        return {subject: key for subject, key in opened.items() if key is not None}

    def forget(self, subject: str) -> None:
        """Keep a subject's key in memory no longer."""
        self._cache.pop(subject, None)

    def _unwrap(self, subject: str, wrapped: bytes | None) -> AESGCM | None:
        return None if wrapped is None else AESGCM(self._keyring.open(wrapped, _context(subject)))

    def _keep(self, opened: Mapping[str, AESGCM | None]) -> None:
        if len(self._cache) + len(opened) > _KEPT:
            self._cache.clear()
        until = self._clock.monotonic() + _SECONDS
        self._cache.update((subject, (until, key)) for subject, key in opened.items())


def seal(key: AESGCM, subject: str, disclosures: Sequence[str]) -> bytes:
    """Encrypt one record's disclosures about one subject."""
    nonce = os.urandom(_NONCE)
    return nonce + key.encrypt(nonce, json.dumps(disclosures).encode(), subject.encode())


class Seen:
    """Where a person was seen, disclosed and sealed once for the records of a minute.

    Requests of one person from one place say the same address and program each time, beside their name and
    session in the clear. To salt and seal that anew for each would protect nothing more, and costs as much
    as the rest of a record. At most 2,000 are kept; then it begins anew.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until = 0.0
        self._disclosed: dict[Detail, tuple[str, str]] = {}
        self._sealed: dict[tuple[AESGCM, str, tuple[str, ...]], bytes] = {}

    def disclosed(self, detail: Detail) -> tuple[str, str]:
        """Make the disclosure of a detail, and its digest; the same as a moment ago for what was seen."""
        if detail.name not in _SEEN or not isinstance(detail.value, str):
            return salted(detail)
        known = self._disclosed.get(detail)
        if known is None or self._clock.monotonic() >= self._until:
            self._renew()
            known = self._disclosed[detail] = salted(detail)
        return known

    def seal(self, key: AESGCM, subject: str, disclosures: Sequence[str]) -> bytes:
        """Encrypt one record's disclosures about one subject."""
        found = (key, subject, tuple(disclosures))
        sealed = self._sealed.get(found)
        if sealed is None:
            if len(self._sealed) >= _KEPT:
                self._sealed.clear()
            sealed = self._sealed[found] = seal(key, subject, disclosures)
        return sealed

    def _renew(self) -> None:
        if len(self._disclosed) >= _KEPT or self._clock.monotonic() >= self._until:
            self._disclosed.clear()
            self._sealed.clear()
            self._until = self._clock.monotonic() + _SECONDS


def unseal(key: AESGCM, subject: str, sealed: bytes) -> Sequence[str]:
    """Decrypt disclosures; nothing when the row was tampered with, so that it shows as withheld."""
    try:
        plain = key.decrypt(sealed[:_NONCE], sealed[_NONCE:], subject.encode())
    except (InvalidTag, ValueError):
        return []
    disclosures: list[str] = json.loads(plain)
    return disclosures


def _context(subject: str) -> bytes:
    return f"audit.subject:{subject}".encode()
