"""The cookies of people who use a browser: one place for their names and their flags (RFC 6265bis)."""

from collections.abc import Iterable

from bartizan.access.sessions import cookie_name


def session_cookie(*, secure: bool) -> str:
    """Name the session cookie; the ``__Host-`` prefix pins it to this host and to TLS."""
    return cookie_name(secure=secure)


def csrf_cookie(*, secure: bool) -> str:
    """Name the cookie that proves a form came from our own page, before anyone is signed in."""
    return f"{session_cookie(secure=secure)}-form"


def set_cookie(name: str, value: str, *, secure: bool, max_age: int | None = None) -> tuple[bytes, bytes]:
    """Write a ``Set-Cookie`` header: HttpOnly, SameSite=Lax, for the whole host."""
    parts = [f"{name}={value}", "Path=/", "HttpOnly", "SameSite=Lax"]
    if max_age is not None:
        parts.append(f"Max-Age={max_age}")
    if secure:
        parts.append("Secure")
    return b"set-cookie", "; ".join(parts).encode("latin-1")


def clear_cookie(name: str, *, secure: bool) -> tuple[bytes, bytes]:
    """Write a ``Set-Cookie`` header that removes a cookie."""
    return set_cookie(name, "", secure=secure, max_age=0)


def read_cookie(headers: Iterable[tuple[bytes, bytes]], name: str) -> str | None:
    """Find a cookie; one that was sent twice is refused, since only one of them can be ours."""
    found: list[str] = []
    for header, value in headers:
        if header != b"cookie":
            continue
        for piece in value.decode("latin-1").split(";"):
            key, separator, content = piece.strip().partition("=")
            if separator and key == name:
                found.append(content)
    return found[0] if len(found) == 1 and found[0] else None


def without_cookies(
    headers: Iterable[tuple[bytes, bytes]], names: frozenset[str]
) -> list[tuple[bytes, bytes]]:
    """Take our cookies out of a request, so that the app behind the gate never sees a credential."""
    kept: list[tuple[bytes, bytes]] = []
    for header, value in headers:
        if header != b"cookie":
            kept.append((header, value))
            continue
        pieces = [piece.strip() for piece in value.decode("latin-1").split(";")]
        rest = "; ".join(piece for piece in pieces if piece and piece.partition("=")[0] not in names)
        if rest:
            kept.append((header, rest.encode("latin-1")))
    return kept
