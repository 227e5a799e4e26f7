"""What goes in and out: a claim on a key, and an answer as it was given."""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bartizan.foundation.context import Caller

Header = tuple[bytes, bytes]
NO_ORGANIZATION: Final = "none"
"""Stands for the organization of a caller without one: no organization has such an id."""
_HEAD: Final = struct.Struct(">BHH")
_SIZES: Final = struct.Struct(">II")
_FORM: Final = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, byte for byte."""

    status: int
    headers: Sequence[Header]
    body: bytes

    def pack(self) -> bytes:
        """Write it down."""
        parts = [_HEAD.pack(_FORM, self.status, len(self.headers))]
        for name, value in self.headers:
            parts += (_SIZES.pack(len(name), len(value)), name, value)
        return b"".join((*parts, self.body))

    @classmethod
    def unpack(cls, packed: bytes) -> "Answer":
        """Read what :meth:`pack` wrote; ``ValueError`` when it was something else."""
        form, status, count = _HEAD.unpack_from(packed)
        if form != _FORM:
            message = f"An answer in the unknown form {form}."
            raise ValueError(message)
        at = _HEAD.size
        headers: list[Header] = []
        for _ in range(count):
            name, value = _SIZES.unpack_from(packed, at)
            at += _SIZES.size
            headers.append((packed[at : at + name], packed[at + name : at + name + value]))
            at += name + value
        return cls(status, tuple(headers), packed[at:])


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose keys they are: nobody meets the answer of another caller, or of another organization."""

    caller_id: str
    """With who really acts, while somebody acts as somebody else."""
    org_id: str | None

    @classmethod
    def of(cls, caller: Caller) -> "Owner":
        """Take it from whoever asks."""
        who = f"{caller.kind}:{caller.id}"
        return cls(f"{who}/{caller.actor_id}" if caller.actor_id else who, caller.org_id)

    @property
    def organization(self) -> str:
        """What the table says about the organization."""
        return self.org_id or NO_ORGANIZATION

    def name(self, key: str) -> str:
        """Name the row of a key: ids hold no NUL, so no two of them run into each other."""
        return hashlib.sha256(f"{self.caller_id}\0{self.organization}\0{key}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run the request of a key, once; ended by ``keep`` or ``release``."""

    id: str
    owner: Owner
    token: str
