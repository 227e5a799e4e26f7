"""Addresses as numbers, and rules as sorted ranges of them.

IPv6 addresses are their own number; IPv4 addresses follow above all of them. So one search finds either,
and ``::/0`` holds no IPv4 address. IPv4 inside IPv6 (RFC 4291, section 2.5.5.2) counts as IPv4.
"""

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from socket import AF_INET, AF_INET6, inet_pton

from bartizan.access.ip_allowlist.errors import InvalidIpRule
from bartizan.access.ip_allowlist.store import Written
from bartizan.access.ip_allowlist.types import KINDS

_FOUR = 1 << 128
_MAPPED = 0xFFFF
_MAPPED_BITS = 96
_PREFIX = re.compile(r"/(?P<bits>0|[1-9][0-9]{0,2})\Z", re.ASCII)


def number_of(address: str | None) -> int | None:
    """Give the number of an address; none for what is no address, which no rule holds."""
    if not address:
        return None
    try:
        if ":" not in address:
            return _FOUR + int.from_bytes(inet_pton(AF_INET, address), "big")
        value = int.from_bytes(inet_pton(AF_INET6, address.partition("%")[0]), "big")
    except (OSError, ValueError):
        return None
    return _FOUR + (value & 0xFFFFFFFF) if value >> 32 == _MAPPED else value


def written(number: int) -> str:
    """Write an address in its shortest form (RFC 5952)."""
    return str(IPv4Address(number - _FOUR) if number >= _FOUR else IPv6Address(number))


def canonical(entries: Sequence[str], most: int, field: str = "addresses") -> list[str]:
    """Bring a list of addresses and ranges to its canonical form; a refusal names the entry that is wrong."""
    if len(entries) > most:
        message = f"A rule lists {most} addresses at most; this one has {len(entries)}."
        raise InvalidIpRule(message, field=field, limit=most)
    known: dict[str, str] = {}
    for entry in entries:
        text = _canonical(entry, field)
        if text in known:
            same = "" if known[text] == entry else f", which is the same as {known[text]!r}"
            message = f"{entry!r} is listed twice{same}."
            raise InvalidIpRule(message, field=field, entry=entry)
        known[text] = entry
    return list(known)


def _canonical(entry: str, field: str) -> str:
    # A zone means something on one machine only, and a mask can be read two ways: neither is understood.
    plain = entry if "%" not in entry and ("/" not in entry or _PREFIX.search(entry)) else ""
    try:
        network = _plain(ip_network(plain, strict=False))
    except ValueError as error:
        message = (
            f"{entry!r} is no address and no range: write it as 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32."
        )
        raise InvalidIpRule(message, field=field, entry=entry) from error
    try:
        ip_network(entry)
    except ValueError as error:
        whole = str(network)
        message = f"{entry!r} has bits set to the right of its prefix: write {whole} for the whole range."
        raise InvalidIpRule(message, field=field, entry=entry) from error
    single = network.prefixlen == network.max_prefixlen
    return str(network.network_address) if single else str(network)


def _plain(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """Turn a range of IPv4 inside IPv6 into the range it is."""
    if isinstance(network, IPv4Network) or network.prefixlen < _MAPPED_BITS:
        return network
    four = network.network_address.ipv4_mapped
    return network if four is None else IPv4Network((int(four), network.prefixlen - _MAPPED_BITS))


class Ranges:
    """Addresses and ranges, merged and sorted: an address is found in one binary search."""

    __slots__ = ("ends", "starts")

    def __init__(self, entries: Iterable[str] = ()) -> None:
        """Take entries in canonical form."""
        self.starts: list[int] = []
        self.ends: list[int] = []
        for first, last in sorted(_span(entry) for entry in entries):
            if self.ends and first <= self.ends[-1] + 1:
                self.ends[-1] = max(self.ends[-1], last)
            else:
                self.starts.append(first)
                self.ends.append(last)

    def hold(self, number: int | None) -> bool:
        """Tell whether an address is in one of the ranges; what is no address is in none."""
        if number is None:
            return False
        place = bisect_right(self.starts, number) - 1
        return place >= 0 and number <= self.ends[place]

    def same_as(self, other: "Ranges") -> bool:
        """Tell whether two lists hold the same addresses."""
        return self.starts == other.starts and self.ends == other.ends


def _span(entry: str) -> tuple[int, int]:
    network = ip_network(entry)
    first = int(network.network_address) + (_FOUR if network.version == 4 else 0)  # noqa: PLR2004
    return first, first + network.num_addresses - 1


class Compiled:
    """The enabled rules of one organization or of the platform, ready to be asked.

    For each kind of caller the lists of the rules without a role count together, and so do those of each
    role. An address has to be in every one of these that there is for the caller.
    """

    __slots__ = ("_roles", "_whole")

    def __init__(self, rules: Iterable[Written]) -> None:
        gathered: dict[str | None, dict[str, list[str]]] = {}
        for rule in rules:
            for kind in rule.callers:
                gathered.setdefault(rule.role, {}).setdefault(kind, []).extend(rule.addresses)
        ready = {
            role: {kind: Ranges(entries) for kind, entries in kinds.items()}
            for role, kinds in gathered.items()
        }
        self._whole: Mapping[str, Ranges] = ready.pop(None, {})
        self._roles: Mapping[str, Mapping[str, Ranges]] = {
            role: kinds for role, kinds in ready.items() if role is not None
        }

    def __bool__(self) -> bool:
        """Tell whether there is any rule."""
        return bool(self._whole or self._roles)

    @property
    def covers_all(self) -> bool:
        """Whether there are rules without a role for every kind of caller."""
        return len(self._whole) == len(KINDS)

    @property
    def same_for_all(self) -> bool:
        """Whether the rules without a role hold the same addresses for every kind of caller."""
        first, *others = self._whole.values()
        return self.covers_all and all(first.same_as(other) for other in others)

    def refuse(self, number: int | None, kind: str, roles: Collection[str] = ()) -> bool:
        """Tell whether a caller of this kind, with these roles, may not come from the address."""
        ranges = self._whole.get(kind)
        if ranges is not None and not ranges.hold(number):
            return True
        for role, kinds in self._roles.items():
            if role in roles and kind in kinds and not kinds[kind].hold(number):
                return True
        return False

    def refuse_all(self, number: int | None) -> bool:
        """Tell whether no caller of any kind may come from the address, by the rules without a role."""
        return not any(ranges.hold(number) for ranges in self._whole.values())
