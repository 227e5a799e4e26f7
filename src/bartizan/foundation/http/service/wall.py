"""The wall against server-side request forgery: which addresses are never reached for someone else.

It is asked with the very address that is about to be connected, after any look-up, so a name that
changes its address between a check and the connection gains nothing.
"""

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from bartizan.foundation.http.errors import DestinationRefused

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# An own list: ``is_global`` differs between Python versions (3.11 calls 192.0.0.8 public).
_CLOSED_4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carriers' NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, and the clouds' metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_OPEN_6 = ipaddress.IPv6Network("2000::/3")  # everything else is local, multicast or unassigned
_CLOSED_6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, among them Teredo, which hides an IPv4 address
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which hides an IPv4 address
        "3fff::/20",  # documentation
    )
)
# Reached through the router of a NAT64 network as the IPv4 address in their last 32 bits (RFC 6052).
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_METADATA = frozenset(
    ipaddress.ip_address(address)
    for address in (
        "169.254.169.254",  # AWS, Google, Azure and most others
        "169.254.170.2",  # AWS containers
        "169.254.170.23",  # AWS pods
        "168.63.129.16",  # Azure's wire server, in a public range
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",  # AWS pods
        "fd20:ce::254",  # Google
    )
)
_LOCAL_NAMES = (".localhost", ".local", ".internal", ".home.arpa")


class Wall:
    """Says which addresses may be connected to."""

    def __init__(self, allow: Sequence[str] = ()) -> None:
        self._allow: list[Network] = [ipaddress.ip_network(one) for one in allow]

    def refuses(self, address: str) -> bool:
        """Tell whether this numeric address is behind the wall; what is no address is."""
        try:
            found = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
        except ValueError:
            return True
        if found in _METADATA:  # a wide network never opens these; naming the very address does
            return not any(found in network and network.num_addresses == 1 for network in self._allow)
        return _closed(found) and not any(found in network for network in self._allow)

    def check_url(self, url: str) -> str:
        """Refuse an address that cannot be meant for us to call, and give its host.

        This is no substitute for :meth:`refuses` at the socket; it answers early and in plain words, and
        it is all that can be checked when a proxy connects.
        """
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise DestinationRefused("This is not an address.", field="url") from error
        if parts.scheme not in {"http", "https"} or not host:
            raise DestinationRefused("An address begins with http:// or https://.", field="url")
        if parts.username is not None or parts.password is not None:
            raise DestinationRefused("An address may not contain a user name.", field="url")
        if "%" in host or "\\" in url or any(c.isspace() or not c.isprintable() for c in url):
            raise DestinationRefused("This is not an address.", field="url")
        return host

    def check_for_proxy(self, host: str) -> None:
        """Refuse hosts that name our own network; for a proxy, which connects out of our sight."""
        name = host.rstrip(".").lower()
        numeric = _numeric(name)
        local = name == "localhost" or name.endswith(_LOCAL_NAMES)
        if (numeric is not None and self.refuses(numeric)) or (local and not self._allow):
            raise DestinationRefused(field="url")


def refusal(address: str, allow: Sequence[str] = ()) -> bool:
    """Tell whether a numeric address is behind the wall; for clients that connect by themselves."""
    return Wall(allow).refuses(address)


def _closed(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return any(address in network for network in _CLOSED_4)
    return address not in _OPEN_6 or any(address in network for network in _CLOSED_6)


def _unwrapped(address: Address) -> Address:
    """Give the IPv4 address that an IPv6 address stands for."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _numeric(host: str) -> str | None:
    """Read every spelling of an address that a resolver would: 127.1, 0x7f.1, 017700000001, 2130706433."""
    if ":" in host:
        return host
    parts = host.split(".")
    try:
        numbers = [int(part, _base(part)) for part in parts]
    except ValueError:
        return None
    *head, last = numbers
    if len(parts) > _PARTS or any(number > _BYTE for number in head) or last >= 256 ** (5 - len(parts)):
        return "invalid"
    value = sum(number << 8 * (3 - place) for place, number in enumerate(head)) + last
    return str(ipaddress.IPv4Address(value))


_PARTS, _BYTE = 4, 255


def _base(part: str) -> int:
    if part[:2] in {"0x", "0X"}:
        return 16
    return 8 if len(part) > 1 and part.startswith("0") else 10
