"""The compiled matcher says what ``ipaddress`` says, on whatever nets."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bartizan.access.ip_allowlist import InvalidIpRule
from bartizan.access.ip_allowlist.service.matching import Compiled, Ranges, canonical, number_of, written
from bartizan.access.ip_allowlist.store import Written

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

FOUR, SIX = st.integers(0, 2**32 - 1), st.integers(0, 2**128 - 1)
MAPPED = FOUR.map(lambda value: 0xFFFF << 32 | value)


def close(values: st.SearchStrategy[int], bits: int) -> st.SearchStrategy[int]:
    """Numbers of which many share their first bits, so that nets and addresses meet."""
    few = st.sampled_from([0, 1, 0xFF, 0xFFFF, 0xC0A80000, 2**bits - 1, 2 ** (bits - 1)])
    return st.one_of(values, few, st.integers(0, 1023))


ADDRESSES = st.one_of(
    close(FOUR, 32).map(IPv4Address),
    close(SIX, 128).map(IPv6Address),
    MAPPED.map(IPv6Address),
)
NETWORKS = st.one_of(
    st.tuples(close(FOUR, 32), st.integers(0, 32)).map(lambda net: IPv4Network(net, strict=False)),
    st.tuples(st.one_of(close(SIX, 128), MAPPED), st.integers(0, 128)).map(
        lambda net: IPv6Network(net, strict=False)
    ),
)


def told(address: Address) -> Address:
    """IPv4 inside IPv6 counts as IPv4."""
    return getattr(address, "ipv4_mapped", None) or address


def meant(network: Network) -> Network:
    """A range of IPv4 inside IPv6 counts as that of IPv4."""
    mapped = IPv6Network("::ffff:0:0/96")
    if isinstance(network, IPv6Network) and network.subnet_of(mapped):
        return IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
    return network


@pytest.mark.feature("NET-01")
@given(st.lists(NETWORKS, max_size=12), st.lists(ADDRESSES, min_size=1, max_size=12))
@example([IPv6Network("::/0")], [IPv4Address("10.0.0.1"), IPv6Address("::ffff:10.0.0.1")])
@example([IPv4Network("0.0.0.0/0")], [IPv6Address("::1"), IPv6Address("::ffff:1.2.3.4")])
@example([IPv6Network("::/0"), IPv4Network("0.0.0.0/0")], [IPv4Address(0), IPv6Address(2**128 - 1)])
def test_an_address_is_held_if_and_only_if_a_network_contains_it(
    networks: list[Network], addresses: list[Address]
) -> None:
    entries = canonical(list({str(meant(network)): str(network) for network in networks}.values()), 12)
    ranges = Ranges(entries)
    for address in [*addresses, *(net[0] for net in networks), *(net[-1] for net in networks)]:
        wanted = any(told(address) in meant(network) for network in networks)
        assert ranges.hold(number_of(str(address))) == wanted, (address, networks)


@given(ADDRESSES, st.sampled_from(["", "%eth0", "%25"]))
def test_an_address_is_read_however_it_is_written(address: Address, zone: str) -> None:
    plain = told(address)
    texts = [str(address)]
    if isinstance(address, IPv6Address):
        texts = [text + zone for text in (str(address), address.exploded, str(address).upper())]
    for text in texts:
        number = number_of(text)
        assert number is not None
        assert written(number) == str(plain)


@given(NETWORKS)
def test_the_canonical_form_is_its_own_canonical_form(network: Network) -> None:
    [entry] = canonical([str(network)], 1)
    assert canonical([entry], 1) == [entry]
    assert ip_network(entry) == meant(network)


@given(st.text(alphabet="0123456789abcdefx.:%/ \n-", max_size=24))
@example("010.0.0.1")
@example("1.2.3.4/8 ")
@example("0:0:0:0:0:ffff:1.2.3.4/24")
def test_no_text_is_understood_otherwise_than_ipaddress_does(text: str) -> None:
    try:
        expected: Address | None = ip_address(text.partition("%")[0] if ":" in text else text)
    except ValueError:
        expected = None
    number = number_of(text)
    assert (None if number is None else written(number)) == (expected and str(told(expected)))
    try:
        [entry] = canonical([text], 1)
    except InvalidIpRule:
        return
    assert ip_network(entry) == meant(ip_network(text))


@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, "admin", "viewer"]),
            st.lists(st.sampled_from(["people", "keys", "machines"]), min_size=1, unique=True),
            st.lists(st.integers(0, 3), min_size=1, unique=True),
        ),
        max_size=6,
    ),
    st.integers(0, 3),
    st.sampled_from(["people", "keys", "machines"]),
    st.sets(st.sampled_from(["admin", "viewer", "member"])),
)
def test_every_level_that_has_rules_has_to_agree(
    rules: list[tuple[str | None, list[str], list[int]]], at: int, kind: str, roles: set[str]
) -> None:
    compiled = Compiled(
        Written("", role, callers, [f"10.0.{net}.0/24" for net in nets]) for role, callers, nets in rules
    )
    refused = False
    for level in (None, *roles):
        lists = [nets for role, callers, nets in rules if role == level and kind in callers]
        refused = refused or (bool(lists) and not any(at in nets for nets in lists))
    assert compiled.refuse(number_of(f"10.0.{at}.7"), kind, roles) == refused
