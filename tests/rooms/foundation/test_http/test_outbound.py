"""Requests to other servers: what comes back, what is refused, and what happens when they fail."""

import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from bartizan.foundation.clock import ManualClock
from bartizan.foundation.errors import Invalid
from bartizan.foundation.http import (
    AnswerTooLarge,
    CircuitOpen,
    DestinationRefused,
    HttpSettings,
    MissingExtra,
    Outbound,
    TookTooLong,
    Unreachable,
)
from bartizan.foundation.settings import BaseSettings, UnsafeInProduction, check_production
from bartizan.foundation.telemetry import Metrics
from tests.harness.peer import Names, Peer, Waits, certificate

LOCAL = ("127.0.0.0/8",)


@pytest.fixture
async def peer() -> AsyncGenerator[Peer]:
    peer = Peer()
    await peer.start()
    yield peer
    await peer.stop()


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def outbound(clock: ManualClock, waits: Waits, metrics: Metrics) -> AsyncGenerator[Outbound]:
    settings = HttpSettings(allow=LOCAL, timeout=2, breaker_failures=4)
    outbound = Outbound(settings, clock=clock, metrics=metrics, retry=waits.retry())
    yield outbound
    await outbound.close()
    await outbound.close()


async def test_an_answer_comes_back_whole(outbound: Outbound, peer: Peer) -> None:
    answer = await outbound.get(peer.url("/a?b=c"), headers={"X-A": "1"})
    assert (answer.status, answer.ok, answer.cut) == (200, True, False)
    assert answer.json() == {"path": "/a", "method": "GET"}
    assert answer.header("content-TYPE") == "application/json; charset=utf-8"
    assert answer.header("nothing") is None
    assert answer.seconds > 0
    assert peer.asked[0].headers["X-A"] == "1"
    assert peer.asked[0].headers["Accept-Encoding"] == "identity"


async def test_bodies_are_sent_to_the_byte(outbound: Outbound, peer: Peer) -> None:
    await outbound.post(peer.url(), body=b"\0exact", headers={"Content-Type": "application/x"})
    await outbound.post(peer.url(), json={"a": [1]})
    await outbound.post(peer.url(), json=1, headers={"content-type": "application/scim+json"})
    assert peer.bodies == [b"\0exact", b'{"a":[1]}', b"1"]
    kinds = ["application/x", "application/json", "application/scim+json"]
    assert [request.headers["Content-Type"] for request in peer.asked] == kinds


async def test_no_cookie_is_kept(outbound: Outbound, peer: Peer) -> None:
    await outbound.get(peer.url("/cookie"))
    await outbound.get(peer.url("/"))
    assert "Cookie" not in peer.asked[1].headers


async def test_a_large_answer_is_refused_or_cut(outbound: Outbound, peer: Peer, waits: Waits) -> None:
    with pytest.raises(AnswerTooLarge, match="1000 bytes"):
        await outbound.get(peer.url("/large"), max_bytes=1000)
    answer = await outbound.get(peer.url("/large"), max_bytes=1000, cut=True)
    assert (len(answer.body), answer.cut) == (1000, True)
    assert len((await outbound.get(peer.url("/large"))).body) == 200_000
    assert waits.seconds == []


async def test_a_packed_answer_is_not_unpacked(outbound: Outbound, peer: Peer) -> None:
    answer = await outbound.get(peer.url("/bomb"), max_bytes=50_000)
    assert answer.body[:2] == b"\x1f\x8b"


async def test_a_slow_server_is_given_up(outbound: Outbound, peer: Peer, metrics: Metrics) -> None:
    with pytest.raises(TookTooLong):
        await outbound.get(peer.url("/slow"), timeout=0.05, once=True)
    assert b'outbound_requests_total{outcome="took-too-long"} 1.0' in metrics.exposition()[0]


async def test_a_server_that_is_not_there_is_unreachable(outbound: Outbound, peer: Peer) -> None:
    with pytest.raises(Unreachable, match="broke off"):
        await outbound.post(peer.url("/broken"))
    url = peer.url()
    await peer.stop()
    with pytest.raises(Unreachable, match="takes no connections") as caught:
        await outbound.post(url)
    assert "127.0.0.1" not in str(caught.value)


async def test_a_name_without_address_is_unreachable(clock: ManualClock, waits: Waits) -> None:
    outbound = Outbound(clock=clock, resolver=Names([]), retry=waits.retry())
    with pytest.raises(Unreachable, match="name has no address"):
        await outbound.get("http://nowhere.example/")
    assert len(waits.seconds) == 2
    await outbound.close()


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "1\r\nX-B: 2"},
        {"X A": "1"},
        {"X-A\n": "1"},
        {"": "1"},
        {"X-A": "\0"},
        {"Host": "inside"},
        {"transfer-encoding": "chunked"},
        {"Content-Length": "0"},
    ],
)
async def test_headers_that_would_change_the_request_are_refused(
    outbound: Outbound, peer: Peer, headers: dict[str, str]
) -> None:
    with pytest.raises(Invalid):
        await outbound.get(peer.url(), headers=headers)
    assert peer.asked == []


async def test_certificates_are_checked(clock: ManualClock, waits: Waits, tmp_path: Path) -> None:
    context, public = certificate(tmp_path, "peer.example")
    peer = Peer()
    await peer.start(context)
    names = Names(["127.0.0.1"])
    distrusting = Outbound(HttpSettings(allow=LOCAL), clock=clock, resolver=names, retry=waits.retry())
    trusting = Outbound(HttpSettings(allow=LOCAL, ca_file=public), clock=clock, resolver=names)
    try:
        with pytest.raises(Unreachable, match="certificate is not good"):
            await distrusting.post(peer.url(host="peer.example", scheme="https"))
        with pytest.raises(Unreachable, match="certificate is not good"):
            await trusting.post(peer.url(host="other.example", scheme="https"))
        assert (await trusting.get(peer.url(host="peer.example", scheme="https"))).ok
        with pytest.raises(Unreachable):
            await trusting.post(peer.url(host="peer.example", scheme="http"))
    finally:
        await distrusting.close()
        await trusting.close()
        await peer.stop()


async def test_a_server_without_tls_is_not_spoken_to_with_it(outbound: Outbound, peer: Peer) -> None:
    with pytest.raises(Unreachable, match="TLS"):
        await outbound.post(peer.url(scheme="https"))


async def test_without_aiohttp_the_error_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch, clock: ManualClock
) -> None:
    monkeypatch.setattr("bartizan.foundation.http.service.outbound.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r'pip install "bartizan\[http\]"'):
        await Outbound(clock=clock).get("https://a.example/")


def test_importing_the_room_does_not_load_the_client_library() -> None:
    program = (
        "import sys, bartizan.foundation.http; print('aiohttp' in sys.modules, 'fastapi' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "False False"


async def test_a_proxy_is_used_for_everything_and_the_environments_is_not(
    peer: Peer, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    by_proxy = Outbound(HttpSettings.model_validate({"proxy": peer.url()}), clock=clock)
    answer = await by_proxy.get("http://other.example/x")
    await by_proxy.close()
    assert answer.ok
    assert peer.asked[0].headers["Host"] == "other.example"


@pytest.mark.feature("OPS-07")
async def test_what_may_be_repeated_is_tried_again_with_growing_waits(
    outbound: Outbound, peer: Peer, waits: Waits, metrics: Metrics
) -> None:
    peer.statuses = [503, 502, 200]
    assert (await outbound.get(peer.url("/later"))).status == 200
    assert waits.seconds == [0.2, 0.4]
    peer.statuses = [429, 200]
    assert (await outbound.get(peer.url("/later"))).status == 200
    assert waits.seconds == [0.2, 0.4, 2]
    assert b'outbound_requests_total{outcome="answered"} 5.0' in metrics.exposition()[0]


@pytest.mark.feature("OPS-07")
async def test_the_last_answer_is_given_when_nothing_helps(
    outbound: Outbound, peer: Peer, waits: Waits
) -> None:
    peer.statuses = [503] * 9
    assert (await outbound.get(peer.url("/later"))).status == 503
    assert len(peer.asked) == 3
    peer.asked.clear()
    assert (await outbound.get(peer.url("/later"), once=True)).status == 503
    assert (await outbound.post(peer.url("/later"))).status == 503
    assert len(peer.asked) == 2


@pytest.mark.feature("OPS-07")
async def test_a_host_that_keeps_failing_is_left_alone_and_others_are_not(
    clock: ManualClock, outbound: Outbound, peer: Peer
) -> None:
    for _ in range(4):
        with pytest.raises(Unreachable):
            await outbound.post(peer.url("/broken"))
    with pytest.raises(CircuitOpen):
        await outbound.get(peer.url("/"))
    assert len(peer.asked) == 4
    assert (await outbound.get(peer.url("/", host="localhost"))).ok
    clock.advance(30)
    assert (await outbound.get(peer.url("/"))).ok


def test_an_allow_list_is_of_networks_and_not_of_everything() -> None:
    class Settings(BaseSettings):
        http: HttpSettings = HttpSettings(allow=("0.0.0.0/0", "10.0.0.0/8", "::/0"))

    with pytest.raises(UnsafeInProduction) as caught:
        check_production(Settings(environment="production"))
    assert str(caught.value).count("BARTIZAN_HTTP__ALLOW") == 2
    with pytest.raises(ValueError, match="network"):
        HttpSettings(allow=("intranet",))


async def test_defaults_are_enough() -> None:
    outbound = Outbound()
    with pytest.raises(DestinationRefused):
        await outbound.get("http://localhost:1/")
    await outbound.close()
