"""Where a request really came from, when proxies stand in between."""

from collections.abc import Iterable, Sequence

from bartizan.doors.http.addresses import Ranges, read_address

_MOST = 1000


class Proxies:
    """The proxies whose word is believed."""

    def __init__(self, ranges: Sequence[str]) -> None:
        """Trust the addresses and CIDR ranges named; ``ValueError`` names one that is neither."""
        self._ranges = Ranges(ranges)
        self._near: dict[str | None, str | None] = {}

    def near(self, peer: str | None) -> str | None:
        """Give the address of a peer that speaks for itself; none for a proxy of ours, or nobody.

        Remembers a thousand peers; then begins anew.
        """
        known = self._near.get(peer)
        if known is None and peer is not None and not self.trust(peer):
            if len(self._near) >= _MOST:
                self._near.clear()
            known = self._near[peer] = self.client(peer, ())
        return known

    def trust(self, host: str | None) -> bool:
        """Tell whether the peer is one of our own proxies."""
        return self._ranges.hold(host)

    def client(self, peer: str | None, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """Find the client's address: the last hop that is not one of our proxies.

        ``X-Forwarded-For`` is read from the right, so that whatever a client puts in front of it counts for
        nothing. Without a trusted peer the header is not read at all.
        """
        if not self.trust(peer):
            address = read_address(peer)
            return peer if address is None else str(address)
        hops = [
            hop.strip()
            for name, value in headers
            if name == b"x-forwarded-for"
            for hop in value.decode("latin-1").split(",")
        ]
        client = peer
        for hop in reversed(hops):
            address = read_address(hop)
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
