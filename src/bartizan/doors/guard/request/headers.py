"""Headers that leave with every answer, and headers that no caller may bring."""

import re
from collections.abc import Iterable
from itertools import product

Header = tuple[bytes, bytes]

# What proxies and other gates use to tell an app who is asking. From a client they are lies.
FORGED = frozenset(
    {
        b"remote-user",
        b"x-remote-user",
        b"x-user",
        b"x-user-id",
        b"x-user-email",
        b"x-user-roles",
        b"x-email",
        b"x-groups",
        b"x-forwarded-user",
        b"x-forwarded-email",
        b"x-forwarded-groups",
        b"x-forwarded-preferred-username",
        b"x-auth-request-user",
        b"x-auth-request-email",
        b"x-auth-request-groups",
        b"x-authenticated-user",
        b"x-webauth-user",
        b"x-team-id",
        b"x-org-id",
        b"x-tenant-id",
        b"x-role",
        b"x-roles",
        b"x-actor-id",
        b"x-original-url",
        b"x-rewrite-url",
        b"x-bartizan-user",
    }
)
BASE: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)
OURS: tuple[Header, ...] = (
    (b"x-frame-options", b"DENY"),
    (
        b"content-security-policy",
        b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    ),
    (b"cross-origin-resource-policy", b"same-origin"),
    *(header for header in BASE if header[0] != b"x-frame-options"),
)
_PRIVATE: Header = (b"cache-control", b"private")
_SHARED = re.compile(rb"\b(?:public|s-maxage|proxy-revalidate)\b", re.IGNORECASE)
_HSTS: Header = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
_WORN: dict[tuple[bool, bool], tuple[tuple[Header, ...], frozenset[bytes]]] = {
    (ours, tls): (worn, frozenset(name for name, _ in worn))
    for ours in (False, True)
    for tls in (False, True)
    for worn in [(*(OURS if ours else BASE), *((_HSTS,) if tls else ()))]
}
"""What an answer of ours or of the app wears, over TLS or not, and the names of that."""


def every_spelling(names: Iterable[bytes]) -> frozenset[bytes]:
    """Add the spellings with underscores, which servers and apps may take for the same name."""
    found: set[bytes] = set()
    for name in names:
        head, *pieces = name.split(b"-")
        found |= {head + b"".join(ends) for ends in product(*((b"-" + p, b"_" + p) for p in pieces))}
    return frozenset(found)


SPELLINGS = every_spelling(FORGED)


def honest(headers: Iterable[Header], also: frozenset[bytes] = frozenset()) -> list[Header]:
    """Drop what a caller may not say about itself, however it spells the name, and ``also`` these."""
    gone = SPELLINGS | also if also else SPELLINGS
    return [header for header in headers if header[0] not in gone]


def dress(
    headers: Iterable[Header], request_id: str, *, ours: bool, tls: bool, private: bool = False
) -> list[Header]:
    """Add what is missing to the headers of an answer; what the app says itself stays.

    A ``private`` one is for one caller: no cache that others share keeps it (RFC 9111, section 5.2.2.7).
    """
    kept = list(headers)
    present = {header[0].lower() for header in kept}
    worn, names = _WORN[ours, tls]
    if names.isdisjoint(present):
        kept += worn
    else:
        kept += [header for header in worn if header[0] not in present]
    if b"x-request-id" not in present:
        kept.append((b"x-request-id", request_id.encode()))
    if private:
        if b"cache-control" not in present:
            kept.append(_PRIVATE)
        else:
            kept = [_kept_private(header) for header in kept]
    return kept


def _kept_private(header: Header) -> Header:
    name, value = header
    if name.lower() != b"cache-control" or not _SHARED.search(value):
        return header
    pieces = [piece.strip() for piece in value.split(b",")]
    rest = [piece for piece in pieces if piece and not _SHARED.search(piece)]
    return name, b", ".join([b"private", *rest])


def value_of(headers: Iterable[Header], name: bytes) -> str | None:
    """Read one header; the first if there are several."""
    return next((value.decode("latin-1") for key, value in headers if key == name), None)
