"""Headers that leave with every answer, and headers that no caller may bring."""

from collections.abc import Iterable

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
_HSTS: Header = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


def honest(headers: Iterable[Header]) -> list[Header]:
    """Drop what a caller may not say about itself, however it spells the name."""
    return [(name, value) for name, value in headers if name.replace(b"_", b"-") not in FORGED]


def dressed(headers: Iterable[Header], *, request_id: str, ours: bool, tls: bool) -> list[Header]:
    """Add what is missing to the headers of an answer; what the app says itself stays."""
    kept = list(headers)
    present = {name.lower() for name, _ in kept}
    kept += [header for header in (OURS if ours else BASE) if header[0] not in present]
    if tls and _HSTS[0] not in present:
        kept.append(_HSTS)
    if b"x-request-id" not in present:
        kept.append((b"x-request-id", request_id.encode()))
    return kept


def value_of(headers: Iterable[Header], name: bytes) -> str | None:
    """Read one header; the first if there are several."""
    return next((value.decode("latin-1") for key, value in headers if key == name), None)
