"""What the application hears of a request, and what the caller hears of its answer."""

import asyncio
from typing import Any

import httpx
import pytest

from bartizan.doors.proxy import Proxy, Upstream
from tests.doors.proxy.upstreams import proxied, say, scripted, told
from tests.doors.served import served

HOP_BY_HOP = {
    "connection": "keep-alive, x-private",
    "keep-alive": "timeout=5",
    "proxy-connection": "keep-alive",
    "proxy-authorization": "Basic eA==",
    "te": "trailers",
    "trailer": "x-sum",
    "upgrade": "h2c",
    "http2-settings": "AAMAAABkAAQAAP__",
    "x-private": "only for the next hop",
}


async def heard(url: str, path: str = "/", **request: Any) -> dict[str, list[str]]:
    async with httpx.AsyncClient(base_url=url) as http:
        answer = await http.get(path, **request)
        assert answer.status_code == 200, answer.text
        fields: dict[str, list[str]] = {}
        for name, value in answer.json()["headers"]:
            fields.setdefault(name, []).append(value)
        return fields


@pytest.mark.feature("X-23")
async def test_where_a_request_came_from_is_told_once_and_truly() -> None:
    lies = {
        "x-forwarded-for": "6.6.6.6",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "evil.example",
        "x-forwarded-port": "1",
        "x-forwarded-prefix": "/evil",
        "forwarded": "for=6.6.6.6",
        "x-real-ip": "6.6.6.6",
        "true-client-ip": "6.6.6.6",
        "x_forwarded_for": "6.6.6.6",
        "X_Real_Ip": "6.6.6.6",
        "via": "1.1 evil",
    }
    async with served(told) as app, proxied(app) as url:
        fields = await heard(url, headers={**lies, "host": "app.example:8443"})
    assert fields["x-forwarded-for"] == ["127.0.0.1"]
    assert fields["x-real-ip"] == ["127.0.0.1"]
    assert fields["x-forwarded-proto"] == ["http"]
    assert fields["x-forwarded-host"] == ["app.example:8443"]
    assert fields["x-forwarded-port"] == ["8443"]
    assert fields["forwarded"] == ['for=127.0.0.1;proto=http;host="app.example:8443"']
    assert fields["host"] == ["app.example:8443"]
    assert not {"x-forwarded-prefix", "via", "true-client-ip", "x_forwarded_for", "x_real_ip"} & set(fields)
    assert "6.6.6.6" not in str(fields)
    assert "evil" not in str(fields)


@pytest.mark.feature("X-23")
async def test_what_is_meant_for_one_hop_stays_there() -> None:
    async with served(told) as app, proxied(app) as url:
        fields = await heard(url, headers=HOP_BY_HOP)
    assert not set(HOP_BY_HOP) & set(fields)


async def test_a_caller_cannot_have_the_gates_word_removed() -> None:
    async def gate(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope["headers"] = [*scope["headers"], (b"x-remote-user", b"ada@example.com")]
        await proxy(scope, receive, send)

    async with served(told) as app:
        proxy = Proxy(app, names=frozenset({b"x-remote-user"}))
        async with served(gate) as url:
            fields = await heard(url, headers={"connection": "close, X-Remote-User, x-more", "x-more": "1"})
    assert fields["x-remote-user"] == ["ada@example.com"]
    assert "x-more" not in fields


async def test_the_upstreams_own_host_is_named_where_a_setting_says_so() -> None:
    async with served(told) as app, proxied(app, preserve_host=False) as url:
        fields = await heard(url, headers={"host": "app.example"})
    assert fields["host"] == [app.removeprefix("http://")]
    assert fields["x-forwarded-host"] == ["app.example"]
    assert fields["x-forwarded-port"] == ["80"]


async def test_a_path_arrives_as_it_was_written() -> None:
    odd = "/a%2Fb/%E4%BD%A0;v=1/..%2f/x%20y//z?q=%26&r=a+b&&e"
    async with served(told) as app, proxied(app + "/base/") as url:
        answer = await say(
            url, f"GET {odd} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".encode(), finish=False
        )
    assert f'"target": "/base{odd}"'.encode() in answer


async def test_an_ipv6_caller_below_a_prefix_over_tls_is_told_as_such() -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "http_version": "2",
        "method": "GET",
        "scheme": "https",
        "path": "/under/ä",
        "root_path": "/under",
        "query_string": b"",
        "headers": [(b"cookie", b"a=1"), (b"cookie", b"b=2"), (b"host", b"app.example")],
        "client": ("::1", 5),
    }
    async with served(told) as app:
        proxy = Proxy(app)
        await proxy(scope, receive, send)
        proxy.close()
    body = sent[1]["body"].decode()
    for said in (
        '["x-forwarded-for", "::1"]',
        '["x-forwarded-port", "443"]',
        '["x-forwarded-prefix", "/under"]',
        '["cookie", "a=1; b=2"]',
        '"target": "/%C3%A4?"',
        "proto=https",
        'for=\\"[::1]\\"',
    ):
        assert said in body, (said, body)
    assert '"content-length"' not in body


@pytest.mark.feature("X-23")
async def test_an_answer_passes_unchanged_but_for_what_was_meant_for_us() -> None:
    answer = (
        b"HTTP/1.1 302 Elsewhere\r\nLocation: http://inside:1/x?y=1\r\nSet-Cookie: a=1; Path=/\r\n"
        b"Set-Cookie: b=2; HttpOnly\r\nContent-Length: 2\r\nConnection: keep-alive, x-hop\r\nX-Hop: 1\r\n"
        b"Keep-Alive: timeout=9\r\nUpgrade: h2c\r\nTrailer: x\r\nProxy-Authenticate: Basic\r\n"
        b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: upstream/1\r\nX-Empty:\r\n\r\nok"
    )
    async with scripted(answer) as app, proxied(app.url) as url, httpx.AsyncClient() as http:
        got = await http.get(url)
    assert got.status_code == 302
    assert got.text == "ok"
    assert got.headers["location"] == "http://inside:1/x?y=1"
    assert got.headers.get_list("set-cookie") == ["a=1; Path=/", "b=2; HttpOnly"]
    assert got.headers["server"] == "upstream/1"
    assert got.headers["x-empty"] == ""
    assert len(got.headers.get_list("date")) == 1
    assert "1970" not in got.headers["date"]
    for name in ("x-hop", "keep-alive", "upgrade", "trailer", "proxy-authenticate"):
        assert name not in got.headers


async def test_an_answer_never_shows_what_the_gate_told_the_app() -> None:
    answer = b"HTTP/1.1 200 OK\r\nX-Api-Key: the-apps-own\r\nContent-Length: 0\r\n\r\n"
    async with scripted(answer) as app, proxied(app.url, names=frozenset({b"x-api-key"})) as url:  # noqa: SIM117
        async with httpx.AsyncClient() as http:
            assert "x-api-key" not in (await http.get(url)).headers


@pytest.mark.parametrize("method", ["TRACE", "CONNECT"])
async def test_trace_and_connect_are_not_handed_on(method: str) -> None:
    async with scripted(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n") as app, proxied(app.url) as url:
        target = "a:1" if method == "CONNECT" else "/"
        answer = await say(
            url, f"{method} {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".encode()
        )
        assert answer.split(b" ")[1] in {b"405", b"400"}
        assert app.connections == 0


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("ftp://a", "begins with"),
        ("127.0.0.1:5000", "begins with"),
        ("http://", "no host"),
        ("http://user:secret@a/", "a password"),
        ("http://a/?x=1", "question mark"),
        ("http://a/x y", "space"),
        ("http://a:99999", "ort"),
        ("http://ä/", "letter"),
        ("unix:app.sock", "slash"),
    ],
)
def test_an_address_that_is_none_is_explained(address: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        Upstream.parse(address)
    assert "secret" not in str(refused.value)


def test_an_address_is_written_as_it_is_meant() -> None:
    assert str(Upstream.parse("http://A.example:80/base/")) == "http://a.example/base"
    assert str(Upstream.parse("https://[::1]:8443")) == "https://[::1]:8443"
    assert str(Upstream.parse("unix:///run/app.sock")) == "unix:/run/app.sock"
    assert Upstream.parse("https://a").authority == "a"


async def test_the_memory_of_callers_is_bounded() -> None:
    proxy = Proxy("http://127.0.0.1:1")
    for number in range(5000):
        scope = {
            "method": "GET",
            "path": "/",
            "scheme": "http",
            "headers": [(b"host", b"h%d" % number)],
            "client": ("127.0.0.1", 1),
        }
        proxy._forwarding.request(scope)
    assert len(proxy._forwarding._origins) <= 4096
    await asyncio.sleep(0)
