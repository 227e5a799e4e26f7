"""Whether a browser sent this on behalf of our own pages, or somebody else's page made it."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from bartizan.foundation.errors import Forbidden

from .headers import Header, value_of


class CrossSite(Forbidden):
    """A page of another site sent this, so the cookie does not count.

    Programs send a bearer token or an API key; a page sends the X-CSRF-Token it was given.
    """


def comes_from_us(scheme: str, headers: Iterable[Header]) -> bool:
    """Tell whether the browser vouches that the request is of the same origin.

    ``Sec-Fetch-Site`` says so where browsers send it (Fetch Metadata); else ``Origin`` must name this host
    (RFC 6454), else ``Referer``. A request with none of them is not vouched for.
    """
    headers = tuple(headers)
    host = value_of(headers, b"host")
    origin = value_of(headers, b"origin")
    site = value_of(headers, b"sec-fetch-site")
    if origin is not None:
        return site in {None, "same-origin", "none"} and _same(origin, scheme, host)
    if site is not None:
        return site in {"same-origin", "none"}
    referer = value_of(headers, b"referer")
    return referer is not None and _same(referer, scheme, host)


def _same(address: str, scheme: str, host: str | None) -> bool:
    if host is None or address == "null":
        return False
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    schemes = {"ws": "http", "wss": "https"}
    ours = schemes.get(scheme, scheme)
    return parts.scheme == ours and parts.netloc.lower() == host.lower()
