"""What keeps the pages safe: where one may go next, what a page may load, who sent a form."""

import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

from bartizan.foundation.crypto import Keyring

_LONGEST = 2000
_PURPOSE = "console.form"


def safe_next(text: str | None) -> str | None:
    """Give a path on this origin, or none: never another site, however it is spelled.

    Browsers read a backslash as a slash, drop tabs and line breaks, and take ``//host`` for another site
    (WHATWG URL), so all of these are refused rather than cleaned.
    """
    if not text or len(text) > _LONGEST or not text.startswith("/") or text.startswith("//"):
        return None
    if "\\" in text or not text.isprintable() or " " in text:
        return None
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    if parts.scheme or parts.netloc:
        return None
    return text


def policy(nonce: str, *, image: str | None = None) -> str:
    """Write the Content-Security-Policy of a page: no script at all, styles by nonce, forms to ourselves.

    ``image`` is the address of a logo, whose origin is then allowed for images.
    """
    images = "'self'"
    if image:
        parts = urlsplit(image)
        images += f" {parts.scheme}://{parts.netloc}"
    return (
        f"default-src 'none'; style-src 'nonce-{nonce}'; img-src {images}; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    )


def headers(nonce: str, *, image: str | None = None) -> Mapping[str, str]:
    """Give the headers of every page: not kept, not framed, not told to others."""
    return {
        "content-security-policy": policy(nonce, image=image),
        "cache-control": "no-store",
        # Never a path, for it may hold a token; and "no-referrer" would make forms send "Origin: null".
        "referrer-policy": "strict-origin",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=()",
    }


class FormTokens:
    """Proof that a form came from our own page, before anyone is signed in: a signed double-submit cookie.

    The cookie holds a random value, the form its MAC: whoever plants a cookie cannot make the MAC.
    """

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    @staticmethod
    def new() -> str:
        """Make the value of a cookie."""
        return secrets.token_urlsafe(24)

    def token(self, cookie: str) -> str:
        """Give what the form has to carry beside that cookie."""
        return self._keyring.mac(_PURPOSE, cookie.encode()).hex()

    def good(self, cookie: str | None, token: str) -> bool:
        """Tell whether they belong together."""
        try:
            mac = bytes.fromhex(token)
        except ValueError:
            return False
        return bool(cookie) and self._keyring.verify_mac(_PURPOSE, (cookie or "").encode(), mac)
