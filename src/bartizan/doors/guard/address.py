"""Where a request really came from, when proxies stand in between."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Proxies:
    """The proxies whose word is believed."""

    def __init__(self, ranges: Sequence[str]) -> None:
        """Trust the addresses and CIDR ranges named; ``ValueError`` names one that is neither."""
        self._ranges: tuple[Network, ...] = tuple(ip_network(text, strict=False) for text in ranges)

    def trust(self, host: str | None) -> bool:
        """Tell whether the peer is one of our own proxies."""
        address = _address(host)
        return address is not None and any(address in range_ for range_ in self._ranges)

    def client(self, peer: str | None, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """Find the client's address: the last hop that is not one of our proxies.

        ``X-Forwarded-For`` is read from the right, so that whatever a client puts in front of it counts for
        nothing. Without a trusted peer the header is not read at all.
        """
        if not self.trust(peer):
            return _text(_address(peer)) or peer
        hops = [
            hop.strip()
            for name, value in headers
            if name == b"x-forwarded-for"
            for hop in value.decode("latin-1").split(",")
        ]
        client = peer
        for hop in reversed(hops):
            address = _address(hop)
            if address is None:
                break
            client = str(address)
            if not self.trust(client):
                break
        return client

    def scheme(self, peer: str | None, headers: Iterable[tuple[bytes, bytes]], scheme: str) -> str:
        """Find the scheme the client used, as the proxy tells it."""
        if self.trust(peer):
            for name, value in headers:
                if name == b"x-forwarded-proto" and value.lower() in {b"http", b"https"}:
                    told = value.decode().lower()
                    return {"http": "ws", "https": "wss"}[told] if scheme in {"ws", "wss"} else told
        return scheme


def _address(host: str | None) -> Address | None:
    """Read an address, with or without port and brackets; IPv4 inside IPv6 counts as IPv4."""
    if not host:
        return None
    text = host.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _text(address: Address | None) -> str | None:
    return None if address is None else str(address)
