"""What a record is made of, byte for byte.

The body is restricted JCS: RFC 8785 without floats, with ASCII keys and integers below 2^53, for which
``json.dumps`` with sorted keys gives the very same bytes. What does not fit is turned into text by
:func:`fact`, never refused: an odd value must not undo somebody's work.

Personal details are salted disclosures (RFC 9901, section 4.2): the body only holds their digests.
"""

import json
import os
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, TypeGuard

from bartizan.foundation import ids
from bartizan.foundation.capability import Outcome

PLATFORM = "platform"
"""The log of what belongs to no organization."""
ANONYMOUS = "anonymous"
_LARGEST = 2**53
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_VERSION = re.compile(r"v\d+")
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
_encode_list = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Detail:
    """One thing known about a person, such as their address; ``subject`` is whose it is."""

    subject: str
    name: str
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A record before it is written."""

    id: str
    log_id: str
    time: datetime
    action: str
    actor_type: str = ANONYMOUS
    actor_id: str | None = None
    on_behalf_of: str | None = None
    target_type: str | None = None
    target_id: str | None = None
    outcome: Outcome = "success"
    request_id: str | None = None
    session_id: str | None = None
    method: str | None = None
    path: str | None = None
    ip: str | None = None
    changes: Mapping[str, Any]
    details: Sequence[Detail] = ()
    unconfirmed: bool = False
    """Whether its transaction may have been rolled back after all: nobody lived to tell."""

    @property
    def org_id(self) -> str | None:
        """The organization, or none."""
        return None if self.log_id == PLATFORM else self.log_id

    def dump(self) -> bytes:
        """Write down everything, personal details too: seal it before it goes anywhere."""
        return json.dumps({**asdict(self), "time": self.time.isoformat()}).encode()

    @classmethod
    def load(cls, data: bytes, *, unconfirmed: bool) -> "Draft":
        """Read what :meth:`dump` wrote."""
        values = json.loads(data)
        known = {field.name: values[field.name] for field in fields(cls)}
        known["time"] = datetime.fromisoformat(values["time"])
        known["details"] = tuple(Detail(**detail) for detail in values["details"])
        return replace(cls(**known), unconfirmed=unconfirmed)


@dataclass(frozen=True, slots=True)
class Composed:
    """A record as bytes, and the disclosures that belong to it, by subject."""

    draft: Draft
    body: bytes
    leaf: bytes
    disclosures: Mapping[str, Sequence[str]]


def salted(detail: Detail) -> tuple[str, str]:
    """Make the disclosure of a detail, and the digest of that."""
    disclosure = disclose(detail.name, detail.value)
    return disclosure, digest(disclosure)


def compose(draft: Draft, disclosed: Callable[[Detail], tuple[str, str]] = salted) -> Composed:
    """Turn a draft into its body, leaf and disclosures."""
    disclosures: dict[str, list[str]] = {}
    digests: list[str] = []
    for detail in draft.details:
        disclosure, hashed = disclosed(detail)
        disclosures.setdefault(detail.subject, []).append(disclosure)
        digests.append(hashed)
    actor = {"type": draft.actor_type, "id": draft.actor_id}
    if draft.on_behalf_of:
        actor["on_behalf_of"] = draft.on_behalf_of
    context = {"request_id": draft.request_id, "session_id": draft.session_id}
    if draft.method:
        context |= {"method": draft.method, "path": draft.path}
    body: dict[str, Any] = {
        "v": 1,
        "id": draft.id,
        "log": draft.log_id,
        "time": stamp(draft.time),
        "action": draft.action,
        "actor": actor,
        "target": [{"type": draft.target_type, "id": draft.target_id}] if draft.target_type else [],
        "outcome": draft.outcome,
        "ctx": context,
        "changes": fact(draft.changes),
        "_sd_alg": "sha-256",
        "_sd": sorted(digests),  # sorted, so that the order says nothing (RFC 9901, section 4.2.4.1)
    }
    if draft.unconfirmed:
        body["unconfirmed"] = True
    encoded = canonical(body)
    return Composed(draft, encoded, leaf_of(encoded), disclosures)


def canonical(value: Mapping[str, Any]) -> bytes:
    """Encode as restricted JCS what :func:`fact` has made fit."""
    return _encode(value).encode()


def leaf_of(body: bytes) -> bytes:
    """Hash a body as a leaf of a Merkle tree (RFC 9162, section 2.1.1)."""
    return sha256(b"\x00" + body).digest()


def disclose(name: str, value: Any) -> str:
    """Make the disclosure of one detail: base64url of ``[salt, name, value]``, with 128 bits of salt."""
    salt = urlsafe_b64encode(os.urandom(16)).decode().rstrip("=")
    text = _encode_list([salt, name, fact(value)])
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def digest(disclosure: str) -> str:
    """Hash a disclosure as RFC 9901, section 4.2.3, says: over its base64url text."""
    return urlsafe_b64encode(sha256(disclosure.encode("ascii")).digest()).decode().rstrip("=")


def stamp(moment: datetime) -> str:
    """Write a moment as RFC 3339 in UTC, with microseconds."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def fact(value: Any) -> Any:
    """Make a JSON value fit restricted JCS: floats and large integers become text, keys become ASCII."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -_LARGEST < value < _LARGEST else str(value)
    if isinstance(value, float):
        return repr(value)
    if _is_object(value):
        return {_key(key): fact(inner) for key, inner in value.items()}
    return [fact(inner) for inner in value]


def tidy(text: str | None, limit: int) -> str | None:
    """Cut a text from outside to what a column holds, without control characters."""
    if text is None or (text.isascii() and text.isprintable()):
        return text and text[:limit]
    return _CONTROL.sub("", text.encode("utf-8", "replace").decode())[:limit]


def tidy_path(path: str | None) -> str | None:
    """Keep the path of a request without its query, and without segments that hold an e-mail address."""
    if path is None:
        return None
    segments = path.split("?", 1)[0].split("/")
    kept = ["~" if "@" in segment or "%40" in segment else segment for segment in segments]
    return tidy("/".join(kept), 500)


def resource_of(path: str | None) -> tuple[str | None, str | None]:
    """Guess what a path is about: ``/api/v1/recordings/42`` gives ``recordings`` and ``42``."""
    segments = [part for part in (path or "").split("/") if part]
    while segments and (segments[0] == "api" or _VERSION.fullmatch(segments[0])):
        segments.pop(0)
    if not segments:
        return None, None
    if len(segments) > 1 and _is_id(segments[-1]):
        return segments[-2][:100], segments[-1][:200]
    return segments[-1][:100], None


def _is_id(segment: str) -> bool:
    return ids.valid(segment) or any(letter.isdigit() for letter in segment)


def _is_object(value: Any) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(value, Mapping)


def _key(key: Any) -> str:
    text = str(key)
    return text if text.isascii() else text.encode("ascii", "backslashreplace").decode()
