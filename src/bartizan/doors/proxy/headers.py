"""What is said to the application about a request, and to the caller about its answer.

Hop-by-hop fields end here in both directions (RFC 9110, section 7.6.1), and so does whatever a caller says
about where it comes from: the gate has found that out, and it is written anew.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from .errors import BadMethod, BadRequest, Senseless
from .upstream import Upstream

Header = tuple[bytes, bytes]

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET = re.compile(rb"/[\x21\x22\x24-\x7e]*")
_QUERY = re.compile(rb"[\x21\x22\x24-\x7e]*")
_HOST = re.compile(rb"[A-Za-z0-9._~%!$&'()*+,;=:\[\]-]{1,300}")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_HOPS = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    b"transfer-encoding upgrade http2-settings".split()
)
# Where a request came from, as proxies of all kinds tell it. We tell it, nobody else.
_ORIGINS = frozenset(
    b"forwarded x-forwarded-for x-forwarded-proto x-forwarded-protocol x-forwarded-scheme x-forwarded-ssl "
    b"x-forwarded-host x-forwarded-server x-forwarded-port x-forwarded-prefix x-forwarded-path "
    b"x-forwarded-uri x-forwarded-method x-forwarded-by x-forwarded-client-ip x-forwarded x-real-ip "
    b"x-client-ip x-cluster-client-ip true-client-ip cf-connecting-ip fastly-client-ip x-url-scheme "
    b"x-scheme x-host x-http-host-override front-end-https x-original-host x-original-url x-rewrite-url "
    b"x-script-name x-proxy-user via".split()
)
_SPECIAL = _HOPS | _ORIGINS | frozenset({b"host", b"content-length", b"expect", b"cookie"})
_ANSWER_DROPS = _HOPS | frozenset({b"date", b"alt-svc"})  # the server in front writes the date
_SOCKETS = frozenset(
    b"sec-websocket-key sec-websocket-version sec-websocket-extensions sec-websocket-protocol "
    b"sec-websocket-accept".split()
)
_MOST_ORIGINS = 4096
_NO_CONTENT = frozenset({204, 304})


@dataclass(slots=True)
class Outgoing:
    """A request as it goes to the application."""

    method: str
    head: bytes
    """Request line and fields, without the empty line and without the length of the body."""
    length: int | None = None
    """Bytes of the body; none where it is chunked, or not known yet."""
    chunked: bool = False
    unknown: bool = False
    """The server in front does not say whether there is a body (HTTP/2): its first piece will."""
    expects: bool = False
    """The caller waits for 100 before it sends the body."""

    @property
    def bare(self) -> bool:
        """Whether there is no body."""
        return not (self.length or self.chunked or self.unknown)

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent again when nobody knows if it arrived (RFC 9110, section 9.2.2)."""
        return self.bare and self.method in IDEMPOTENT

    def opening(self) -> bytes:
        """Give the whole head."""
        end = b"expect: 100-continue\r\n\r\n" if self.expects else b"\r\n"
        if self.chunked:
            return self.head + b"transfer-encoding: chunked\r\n" + end
        if self.length is not None:
            return b"%bcontent-length: %d\r\n%b" % (self.head, self.length, end)
        return self.head + end


class Forwarding:
    """Writes requests for one application.

    What it knows of 4,096 pairs of caller and host is remembered; beyond that it begins anew.
    """

    def __init__(self, upstream: Upstream, *, preserve_host: bool, kept: frozenset[bytes]) -> None:
        """Write for ``upstream``; ``kept`` names fields of the gate that no caller can have removed."""
        self._base = upstream.base.encode("ascii")
        self._authority = upstream.authority.encode("ascii")
        self._preserve_host = preserve_host
        self._kept = kept
        self._origins: dict[tuple[str | None, str, bytes | None, str], bytes] = {}

    def request(self, scope: Mapping[str, Any]) -> Outgoing:
        """Write an HTTP request; raises :class:`BadRequest` where two readers could disagree about it."""
        method: str = scope["method"]
        if method in {"TRACE", "CONNECT"}:
            raise BadMethod
        if not _TOKEN.fullmatch(name := method.encode("latin-1", "replace")):
            raise BadRequest
        target = self.target(scope)
        out = Outgoing(method, b"", unknown=scope.get("http_version", "1.1") not in {"1.1", "1.0"})
        lines, host = self._fields(scope["headers"], out)
        if out.unknown:
            out.expects = False  # the server in front has asked for the body
            out.unknown = out.length is None and not out.chunked
        lines.append(self._origin(scope, host))
        named = host if host is not None and self._preserve_host else self._authority
        out.head = b"%b %b HTTP/1.1\r\nhost: %b\r\n%b" % (name, target, named, b"".join(lines))
        return out

    def handshake(self, scope: Mapping[str, Any], ours: bytes) -> bytes:
        """Write a websocket's handshake; ``ours`` are its own fields, whole lines."""
        target = self.target(scope)
        lines, host = self._fields(scope["headers"], None)
        lines = [line for line in lines if line[: line.index(b":")] not in _SOCKETS]
        lines.append(self._origin(scope, host))
        named = host if host is not None and self._preserve_host else self._authority
        return b"GET %b HTTP/1.1\r\nhost: %b\r\n%b%b\r\n" % (target, named, ours, b"".join(lines))

    def target(self, scope: Mapping[str, Any]) -> bytes:
        """Write the path as the caller wrote it, below the upstream's base, and the query."""
        raw: bytes = scope.get("raw_path") or quote(scope["path"], safe="/%:@!$&'()*+,;=~").encode("ascii")
        prefix = quote(scope.get("root_path", "")).encode("ascii")
        if prefix and raw.startswith(prefix):
            raw = raw[len(prefix) :] or b"/"
        if not _TARGET.fullmatch(raw):
            raise BadRequest
        if query := scope.get("query_string", b""):
            if not _QUERY.fullmatch(query):
                raise BadRequest
            return b"%b%b?%b" % (self._base, raw, query)
        return self._base + raw

    def _fields(self, headers: Iterable[Header], out: Outgoing | None) -> tuple[list[bytes], bytes | None]:
        lines: list[bytes] = []
        cookies: list[bytes] = []
        named: list[bytes] = []
        host: bytes | None = None
        for name, value in headers:
            if not _TOKEN.fullmatch(name) or _CONTROL.search(value):
                raise BadRequest
            if name in _SPECIAL:
                if name == b"cookie":
                    cookies.append(value)
                elif name == b"host":
                    host = _only_host(host, value)
                elif name == b"connection":
                    named += [word.strip().lower() for word in value.split(b",")]
                elif out is not None:
                    _framing(out, name, value)
            elif b"_" not in name or name.replace(b"_", b"-") not in _SPECIAL:
                lines.append(b"%b: %b\r\n" % (name, value))
        if cookies:
            lines.append(b"cookie: %b\r\n" % b"; ".join(cookies))
        return self._without(lines, named), host

    def _without(self, lines: list[bytes], named: list[bytes]) -> list[bytes]:
        """Take out what the Connection field names; never what the gate says of the caller."""
        gone = {name for name in named if name and name not in _HOPS and name not in self._kept}
        gone -= {b"close"}
        return [line for line in lines if line[: line.index(b":")] not in gone] if gone else lines

    def _origin(self, scope: Mapping[str, Any], host: bytes | None) -> bytes:
        client = scope["client"][0] if scope.get("client") else None
        key = (client, scope["scheme"], host, scope.get("root_path", ""))
        known = self._origins.get(key)
        if known is None:
            if len(self._origins) >= _MOST_ORIGINS:
                self._origins.clear()
            known = self._origins[key] = _origin(*key)
        return known


def is_token(text: str) -> bool:
    """Tell whether a text may stand where HTTP wants a token."""
    return _TOKEN.fullmatch(text.encode("latin-1", "replace")) is not None


def _only_host(known: bytes | None, value: bytes) -> bytes:
    if known is not None or not _HOST.fullmatch(value):
        raise BadRequest
    return value


def _framing(out: Outgoing, name: bytes, value: bytes) -> None:
    """Learn how long the body is; refuse what could be read in two ways (RFC 9112, section 6.3)."""
    if name == b"content-length":
        if out.length is not None or out.chunked or not (value.isdigit() and len(value) <= 18):  # noqa: PLR2004
            raise BadRequest
        out.length = int(value)
    elif name == b"transfer-encoding":
        if out.chunked or out.length is not None or value.strip().lower() != b"chunked":
            raise BadRequest
        out.chunked = True
    elif name == b"expect" and value.strip().lower() == b"100-continue":
        out.expects = True


def _origin(client: str | None, scheme: str, host: bytes | None, prefix: str) -> bytes:
    """Write where a request came from: RFC 7239 ``Forwarded``, and the names that most programs read."""
    proto = {"ws": "http", "wss": "https"}.get(scheme, scheme)
    node = "unknown" if client is None else f'"[{client}]"' if ":" in client else client
    forwarded = [f"for={node}", f"proto={proto}"]
    lines = [f"x-forwarded-proto: {proto}"]
    if client is not None:
        lines += [f"x-forwarded-for: {client}", f"x-real-ip: {client}"]
    if host is not None:
        named = host.decode("ascii")
        _, colon, port = named.rpartition(":")
        if not colon or not port.isdigit():
            port = "443" if proto == "https" else "80"
        forwarded.append(f'host="{named}"')
        lines += [f"x-forwarded-host: {named}", f"x-forwarded-port: {port}"]
    if prefix:
        lines.append(f"x-forwarded-prefix: {quote(prefix)}")
    lines.append(f"forwarded: {';'.join(forwarded)}")
    text = "\r\n".join(lines)
    if _CONTROL.search(text.replace("\r\n", "").encode("latin-1", "replace")):
        raise BadRequest
    return text.encode("latin-1", "replace") + b"\r\n"


def returned(status: int, headers: Iterable[Header], withheld: frozenset[bytes]) -> list[Header]:
    """Give the fields of an answer that go to the caller; raises :class:`Senseless`."""
    kept: list[Header] = []
    named: set[bytes] = set()
    for name, value in headers:
        if _CONTROL.search(value):
            raise Senseless
        if name in _ANSWER_DROPS:
            if name == b"connection":
                named.update(word.strip().lower() for word in value.split(b","))
        elif name not in withheld and not (name == b"content-length" and status in _NO_CONTENT):
            kept.append((name, value))
    named -= {b"close", b"keep-alive"}
    return [header for header in kept if header[0] not in named] if named else kept


def accepted(headers: Iterable[Header], withheld: frozenset[bytes]) -> list[Header]:
    """Give the fields of an accepted handshake that go to the caller."""
    kept = returned(200, headers, withheld)
    return [header for header in kept if header[0] not in _SOCKETS and header[0] != b"content-length"]
