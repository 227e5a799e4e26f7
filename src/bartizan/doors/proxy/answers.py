"""What the proxy says itself: a page for people, a problem document for programs (RFC 9457)."""

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from bartizan.foundation.context import current

from .errors import ProxyError
from .headers import Header

_DOCS = "https://bartizan.dev/errors/"
_SOON = b"5"
_AGAIN = frozenset({502, 503, 504})
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 20vh auto; padding: 0 1rem; }}
small {{ opacity: .7; }}
</style></head>
<body><main><h1>{title}</h1><p>{advice}</p><small>{status} · {request}</small></main></body></html>
"""


def answer(scope: Mapping[str, Any], error: ProxyError) -> tuple[int, list[Header], bytes]:
    """Give status, fields and body."""
    origin = current.origin
    request_id = origin.request_id if origin else None
    temporary = error.status in _AGAIN
    if _is_person(scope):
        advice = "Please try again in a moment." if temporary else "Please go back and try another way."
        page = _PAGE.format(
            title=escape(error.title), advice=advice, status=error.status, request=escape(request_id or "")
        )
        kind, body = b"text/html; charset=utf-8", page.encode()
    else:
        document = {
            "type": _DOCS + error.code,
            "title": error.title,
            "status": error.status,
            "detail": error.title,
            "code": error.code,
            **({"request_id": request_id} if request_id else {}),
        }
        kind, body = b"application/problem+json", json.dumps(document).encode()
    fields = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (
            b"content-security-policy",
            b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'",
        ),
    ]
    if temporary:
        fields.append((b"retry-after", _SOON))
    if error.status == 400:  # noqa: PLR2004
        fields.append((b"connection", b"close"))  # where this request ends, nobody can be sure
    if error.status == 405:  # noqa: PLR2004
        fields.append((b"allow", b"GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE"))
    return error.status, fields, body


def _is_person(scope: Mapping[str, Any]) -> bool:
    """Tell whether a browser asks for a page."""
    if scope.get("method") not in {"GET", "HEAD", "POST"}:
        return False
    fields: dict[bytes, bytes] = dict(scope["headers"])
    return (
        b"text/html" in fields.get(b"accept", b"")
        and fields.get(b"sec-fetch-mode", b"navigate") == b"navigate"
    )
