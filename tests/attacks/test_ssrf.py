"""Server-side request forgery: nobody reaches our own network by naming it to us."""

import asyncio
import ipaddress
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.foundation.clock import ManualClock
from bartizan.foundation.http import DestinationRefused, HttpSettings, Outbound, Unreachable, refusal
from tests.harness.peer import Names, Peer

pytestmark = [
    pytest.mark.feature("OPS-07"),
    # More than other tests may reach, so that it is our wall that refuses and not the one around tests.
    pytest.mark.allow_hosts(
        ["127.0.0.1", "::1", "localhost", "0.0.0.0", "::ffff:127.0.0.1", "::ffff:7f00:1"]
    ),
]

LOOPBACK = [
    "127.0.0.1",
    "localhost",
    "LOCALHOST",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "0.0.0.0",
    "0",
    "127.0.0.1.",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "%31%32%37.0.0.1",
    "①②⑦.⓪.⓪.①",
]


@pytest.fixture
async def peer() -> AsyncGenerator[Peer]:
    peer = Peer()
    await peer.start()
    yield peer
    await peer.stop()


@pytest.fixture
async def outbound(clock: ManualClock) -> AsyncGenerator[Outbound]:
    outbound = Outbound(HttpSettings(attempts=1), clock=clock)
    yield outbound
    await outbound.close()


@pytest.mark.parametrize("host", LOOPBACK)
async def test_no_spelling_of_loopback_is_reached(outbound: Outbound, peer: Peer, host: str) -> None:
    with pytest.raises((DestinationRefused, Unreachable)):
        await outbound.get(peer.url(host=host))
    assert peer.asked == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "017700000001", "0"]
)
async def test_without_the_wall_the_same_addresses_lead_here(peer: Peer, host: str) -> None:
    _, writer = await asyncio.open_connection(host, peer.port)
    assert writer.get_extra_info("peername")[1] == peer.port
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "evil.example"])
async def test_the_wall_alone_stands_between_us_and_ourselves(
    clock: ManualClock, peer: Peer, host: str
) -> None:
    resolver = Names(["127.0.0.1"]) if host == "evil.example" else None
    without = Outbound(HttpSettings(allow=("0.0.0.0/0", "::/0")), clock=clock, resolver=resolver)
    assert (await without.get(peer.url(host=host))).ok
    await without.close()
    behind = Outbound(clock=clock, resolver=resolver)
    with pytest.raises(DestinationRefused):
        await behind.get(peer.url(host=host))
    await behind.close()


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "fd00:ec2::254",
        "10.0.0.5",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%1",
        "fc00::1",
        "ff02::1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "not an address",
    ],
)
async def test_a_name_that_points_inside_is_refused_at_the_socket(clock: ManualClock, address: str) -> None:
    outbound = Outbound(HttpSettings(attempts=1), clock=clock, resolver=Names([address]))
    with pytest.raises(DestinationRefused) as caught:
        await outbound.get("http://pretty.example/latest/meta-data/")
    assert address not in str(caught.value)
    assert caught.value.__cause__ is None
    await outbound.close()


async def test_a_name_that_changes_between_check_and_connection_is_refused(
    clock: ManualClock, peer: Peer
) -> None:
    rebinding = Names(["93.184.215.14"], ["127.0.0.1"])
    [checked] = await rebinding.resolve("evil.example")
    assert not refusal(checked)
    outbound = Outbound(clock=clock, resolver=rebinding)
    with pytest.raises(DestinationRefused):
        await outbound.get(peer.url(host="evil.example"))
    assert peer.asked == []
    await outbound.close()


async def test_of_several_addresses_only_those_before_the_wall_are_tried(
    clock: ManualClock, peer: Peer
) -> None:
    names = Names(["169.254.169.254", "10.0.0.1", "127.0.0.1"])
    outbound = Outbound(HttpSettings(allow=("127.0.0.1/32",)), clock=clock, resolver=names)
    assert (await outbound.get(peer.url(host="mixed.example"))).ok
    await outbound.close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_is_never_followed(
    clock: ManualClock, peer: Peer, status: int
) -> None:
    outbound = Outbound(HttpSettings(allow=("127.0.0.0/8",)), clock=clock)
    for target in (peer.url("/inside"), "http://169.254.169.254/", "file:///etc/passwd", "//127.0.0.1/"):
        answer = await outbound.get(peer.url("/redirect"), headers={"X-To": target, "X-Status": str(status)})
        assert (answer.status, answer.header("location")) == (status, target)
    assert {request.path for request in peer.asked} == {"/redirect"}
    await outbound.close()


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "ftp://a.example/",
        "unix:///var/run/docker.sock",
        "//a.example/",
        "a.example",
        "",
        "http://",
        "http:///x",
        "http://user@a.example/",
        "http://user:pw@a.example/",
        "http://a.example\\@127.0.0.1/",
        "http://a.example:99999/",
        "http://a.example:x/",
        "http://[::1",
        "http://a.example/\r\nX-Injected: 1",
        "http://a.example/ x",
        "http://a.exa\tmple/",
    ],
)
async def test_what_is_no_plain_web_address_is_refused(outbound: Outbound, url: str) -> None:
    with pytest.raises(DestinationRefused):
        await outbound.get(url)


async def test_the_allow_list_opens_what_it_names_and_no_metadata(clock: ManualClock, peer: Peer) -> None:
    outbound = Outbound(HttpSettings(allow=("127.0.0.1/32",)), clock=clock)
    assert (await outbound.get(peer.url())).ok
    await outbound.close()
    assert not refusal("10.1.2.3", ["10.1.0.0/16"])
    assert not refusal("::ffff:10.1.2.3", ["10.1.0.0/16"])
    assert refusal("10.2.2.3", ["10.1.0.0/16"])
    assert refusal("169.254.169.254", ["169.254.0.0/16"])
    assert refusal("::ffff:169.254.169.254", ["0.0.0.0/0"])
    assert refusal("168.63.129.16", ["168.63.0.0/16"])
    assert not refusal("169.254.169.254", ["169.254.169.254/32"])


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"]
)
def test_the_rest_of_the_world_is_open(address: str) -> None:
    assert not refusal(address)


@given(st.ip_addresses(v=4))
def test_the_wall_is_at_least_as_strict_as_python(address: ipaddress.IPv4Address) -> None:
    if not address.is_global:
        for text in (str(address), f"::ffff:{address}", f"64:ff9b::{address}"):
            assert refusal(text)


@given(st.ip_addresses(v=6))
def test_the_wall_is_at_least_as_strict_as_python_for_ipv6(address: ipaddress.IPv6Address) -> None:
    inside_nat64 = address in ipaddress.IPv6Network("64:ff9b::/96")
    if not address.is_global and not address.ipv4_mapped and not inside_nat64:
        assert refusal(str(address))


@given(st.text(max_size=40))
def test_no_text_is_open(text: str) -> None:
    assert refusal(f"{text}x")


@pytest.mark.parametrize(
    "host",
    [
        *LOOPBACK,
        "169.254.169.254",
        "0xa9fea9fe",
        "[fd00:ec2::254]",
        "metadata.google.internal",
        "printer.local",
        "a.localhost",
        "1.2.3.4.5",
        "256.1.1.1",
        "0x1ffffffff",
    ],
)
async def test_a_proxy_is_not_asked_for_our_own_network(clock: ManualClock, peer: Peer, host: str) -> None:
    outbound = Outbound(HttpSettings.model_validate({"proxy": peer.url(), "attempts": 1}), clock=clock)
    with pytest.raises(DestinationRefused):
        await outbound.get(f"http://{host}/")
    assert peer.asked == []
    await outbound.close()
