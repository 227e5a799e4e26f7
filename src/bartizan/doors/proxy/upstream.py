"""Where the application behind the proxy is."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Upstream:
    """An address: ``http://host:port/base``, ``https://…``, or ``unix:/path/of/a/socket``."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    base: str = ""
    """Path that is put in front of every path asked for; never ends in a slash."""
    socket: str | None = None
    """Path of the Unix socket, where it is one."""

    @classmethod
    def parse(cls, address: str) -> "Upstream":
        """Read an address; ``ValueError`` says what is wrong with it, without repeating a password."""
        if address.startswith("unix:"):
            path = address.removeprefix("unix:").removeprefix("//")
            if not path.startswith("/"):
                message = "the path of a socket begins with a slash: unix:/run/app.sock"
                raise ValueError(message)
            return cls("http", "localhost", 80, socket=path)
        parts = urlsplit(address)
        if parts.scheme not in _PORTS:
            message = "it begins with http://, https:// or unix:/"
            raise ValueError(message)
        if parts.username is not None or parts.password is not None:
            message = "it holds a user or a password; give those with BARTIZAN_BRIDGE__SECRET_HEADERS"
            raise ValueError(message)
        if parts.query or parts.fragment:
            message = "it may have a path, but no question mark and no #"
            raise ValueError(message)
        host, port = parts.hostname, parts.port or _PORTS[parts.scheme]  # a wrong port is a ValueError, too
        if not host or not address.isascii() or any(letter <= " " or letter == "\x7f" for letter in address):
            message = "it names no host" if not host else "it holds a space or a letter that no address has"
            raise ValueError(message)
        scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
        return cls(scheme, host, port, parts.path.rstrip("/"))

    @property
    def authority(self) -> str:
        """Host and port, as in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        """Write the address."""
        return f"unix:{self.socket}" if self.socket else f"{self.scheme}://{self.authority}{self.base}"

    def tls(self, ca_file: Path | None, *, verify: bool) -> ssl.SSLContext | None:
        """Make what checks its certificate; none where there is no TLS."""
        if self.scheme != "https":
            return None
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        context.set_alpn_protocols(["http/1.1"])
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context
