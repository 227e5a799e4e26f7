"""Addresses of callers, and ranges that hold them."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address


class Ranges:
    """A list of addresses and CIDR ranges, of IPv4 and IPv6."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Read the list; ``ValueError`` names an entry that is neither."""
        self._networks: tuple[IPv4Network | IPv6Network, ...] = tuple(
            ip_network(t, strict=False) for t in texts
        )

    def hold(self, host: str | None) -> bool:
        """Tell whether an address is in one of the ranges."""
        address = read_address(host)
        return address is not None and any(address in network for network in self._networks)


def read_address(host: str | None) -> Address | None:
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
