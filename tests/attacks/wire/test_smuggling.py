"""Requests and answers that two readers could read differently: none of them gets through the proxy.

Everything is said on raw sockets, to the server that ``bartizan guard`` runs and from an application that
means harm. A request is smuggled when the application hears one that the gate has not judged.
"""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

import pytest

from bartizan.doors.guard import Policy
from bartizan.doors.proxy import Proxy
from bartizan.foundation.settings import ProxySettings
from tests.doors.proxy.upstreams import Scripted, Speak, proxied, say, scripted, until
from tests.doors.served import served

OK = b"HTTP/1.1 200 OK\r\n"
FINE = OK + b"content-length: 2\r\n\r\nok"
STARTS = re.compile(rb"(?:GET|POST|PUT|DELETE) \S+ HTTP/1\.1\r\n")
CHUNKED = b"transfer-encoding: chunked\r\n"


def listening(said: Scripted) -> Speak:
    """Read everything, and answer each head that is seen, wherever it begins."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answered = 0
        while data := await reader.read(65536):
            said.heard += data
            for _ in range(len(STARTS.findall(said.heard)) - answered):
                answered += 1
                writer.write(FINE)
            await writer.drain()

    return speak


@asynccontextmanager
async def standing() -> AsyncGenerator[tuple[str, Scripted, list[str]]]:
    """Serve a proxy behind something that notes what the gate would judge."""
    judged: list[str] = []
    async with scripted(listening) as app:
        proxy = Proxy(app.url)

        async def gate(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                judged.append(f"{scope['method']} {scope['path']}")
            await proxy(scope, receive, send)

        async with served(gate, proxy_headers=False, h11_max_incomplete_event_size=64 * 1024) as url:
            yield url, app, judged


SMUGGLED = b"GET /admin HTTP/1.1\r\nhost: a\r\n\r\n"
AMBIGUOUS = {
    "length and chunked": b"content-length: 6\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + SMUGGLED,
    "chunked and length": CHUNKED + b"content-length: 60\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "two lengths": b"content-length: 0\r\ncontent-length: 34\r\n\r\n" + SMUGGLED,
    "two equal lengths": b"content-length: 2\r\ncontent-length: 2\r\n\r\nxx" + SMUGGLED,
    "a list of lengths": b"content-length: 0, 34\r\n\r\n" + SMUGGLED,
    "a signed length": b"content-length: +34\r\n\r\n" + SMUGGLED,
    "a negative length": b"content-length: -1\r\n\r\n" + SMUGGLED,
    "a hexadecimal length": b"content-length: 0x22\r\n\r\n" + SMUGGLED,
    "an endless length": b"content-length: 99999999999999999999999\r\n\r\n" + SMUGGLED,
    "an empty length": b"content-length:\r\n\r\n" + SMUGGLED,
    "chunked twice": b"transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunked on two lines": CHUNKED + CHUNKED + b"\r\n0\r\n\r\n" + SMUGGLED,
    "chunked not last": b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "compressed": b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "almost chunked": b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "quoted": b'transfer-encoding: "chunked"\r\n\r\n0\r\n\r\n' + SMUGGLED,
    "vertical tab": b"transfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "space before the colon": b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "folded": b"x-a: b\r\n transfer-encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "folded value": b"transfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "bare newline": b"x-a: b\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "bare return": b"x-a: b\rtransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "nothing but newlines": b"x-a: b\n\n" + SMUGGLED,
    "nul": b"x-a: b\x00c\r\n\r\n" + SMUGGLED,
    "control": b"x-a: b\x01c\r\n\r\n" + SMUGGLED,
    "a name with a space": b"x a: b\r\n\r\n" + SMUGGLED,
    "a name with a bracket": b"x[a]: b\r\n\r\n" + SMUGGLED,
    "no name": b": b\r\n\r\n" + SMUGGLED,
    "no colon": b"x-a\r\n\r\n" + SMUGGLED,
    "two hosts": b"host: b\r\n\r\n" + SMUGGLED,
    "a chunk with a sign": CHUNKED + b"\r\n+2\r\nab\r\n0\r\n\r\n" + SMUGGLED,
    "a chunk in C": CHUNKED + b"\r\n0x2\r\nab\r\n0\r\n\r\n" + SMUGGLED,
    "a chunk that lies": CHUNKED + b"\r\n2\r\nabcd\r\n0\r\n\r\n" + SMUGGLED,
    "a chunk that overflows": CHUNKED + b"\r\nffffffffffffffff1\r\nab\r\n0\r\n\r\n" + SMUGGLED,
    "a chunk with newlines": CHUNKED + b"\r\n2\nab\n0\n\n" + SMUGGLED,
    "a chunk's extension with a newline": CHUNKED + b"\r\n2;a\nb\r\nab\r\n0\r\n\r\n" + SMUGGLED,
}


@pytest.mark.feature("X-23", "NET-03")
@pytest.mark.parametrize("rest", AMBIGUOUS.values(), ids=AMBIGUOUS)
async def test_a_request_that_can_be_read_in_two_ways_is_refused(rest: bytes) -> None:
    async with standing() as (url, app, judged):
        answer = await say(url, b"POST /public HTTP/1.1\r\nhost: a\r\n" + rest)
        assert answer.startswith(b"HTTP/1.1 400 ") or b"HTTP/1.1 400 " in answer, answer
        assert "GET /admin" not in judged
        assert b"/admin" not in app.heard
        assert len(STARTS.findall(app.heard)) <= 1


LINES = {
    "a space in the path": b"GET /a b HTTP/1.1\r\n",
    "a tab": b"GET\t/a HTTP/1.1\r\n",
    "another version": b"GET /a HTTP/3.1\r\n",
    "a return": b"GET /a\rHTTP/1.1\r\n",
    "a raw byte": b"GET /\xff HTTP/1.1\r\n",
    "a nul": b"GET /\x00 HTTP/1.1\r\n",
    "a newline": b"GET /a HTTP/1.1\nhost: a\n",
    "no path": b"GET HTTP/1.1\r\n",
    "a method nobody knows": b"GE\x00T / HTTP/1.1\r\n",
}


@pytest.mark.feature("X-23")
@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
async def test_a_request_line_that_is_none_is_refused(line: bytes) -> None:
    async with standing() as (url, app, judged):
        answer = await say(url, line + b"host: a\r\n\r\n")
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400 "), answer
        assert judged == []
        assert app.heard == b""


@pytest.mark.parametrize("line", [b"GET  /a HTTP/1.1\r\n", b"GET /a\r\n", b"GET /a HTTP/1.0\r\n"])
async def test_a_careless_request_line_is_written_anew(line: bytes) -> None:
    async with standing() as (url, app, judged):
        await say(url, line + b"host: a\r\nconnection: close\r\n\r\n", finish=False)
        heard = STARTS.findall(app.heard)
        assert heard in ([], [b"GET /a HTTP/1.1\r\n"])
        assert len(heard) <= len(judged) <= 1


@pytest.mark.parametrize("host", [b"a/b", b"a b", b"a@b", b"a?b", b"a,b c", b'a"b', b"<a>", b"x" * 400])
async def test_a_host_that_is_none_is_refused(host: bytes) -> None:
    async with standing() as (url, app, _):
        answer = await say(url, b"GET / HTTP/1.1\r\nhost: " + host + b"\r\n\r\n", finish=False)
        assert answer.startswith(b"HTTP/1.1 400 "), answer
        assert app.heard == b""


@pytest.mark.feature("X-23")
async def test_an_absolute_address_does_not_choose_the_server() -> None:
    async with standing() as (url, app, judged):
        await say(
            url, b"GET http://evil.example/x?y HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", finish=False
        )
        assert judged == ["GET /x"]
        assert app.heard.startswith(b"GET /x?y HTTP/1.1\r\nhost: a\r\n")


@pytest.mark.feature("X-23")
@pytest.mark.parametrize("upgrade", [b"h2c", b"TLS/1.0", b"websocket2"])
async def test_another_protocol_is_not_asked_for(upgrade: bytes) -> None:
    async with standing() as (url, app, judged):
        asked = b"GET /x HTTP/1.1\r\nhost: a\r\nupgrade: " + upgrade + b"\r\nhttp2-settings: AAMA\r\n"
        tunnel = b"connection: upgrade, http2-settings, close\r\n\r\n" + SMUGGLED
        await say(url, asked + tunnel, finish=False)
        assert b"upgrade" not in app.heard.lower()
        assert b"http2-settings" not in app.heard.lower()
        assert len(STARTS.findall(app.heard)) == len(judged)


@pytest.mark.feature("X-23")
async def test_what_follows_an_honest_request_is_judged_like_any_other() -> None:
    async with standing() as (url, app, judged):
        honest = b"POST /one HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nGET /"
        last = b"GET /two HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
        answer = await say(url, honest + last, finish=False)
        assert answer.count(b"HTTP/1.1 200 OK") == 2
        assert judged == ["POST /one", "GET /two"]
        assert len(STARTS.findall(app.heard)) == 2


@pytest.mark.feature("X-23")
async def test_another_server_in_front_changes_nothing() -> None:
    # What uvicorn refuses by itself is refused by the proxy, too: it may stand behind any ASGI server.
    evil: list[list[tuple[bytes, bytes]]] = [
        [(b"content-length", b"1"), (b"content-length", b"2")],
        [(b"content-length", b"1"), (b"transfer-encoding", b"chunked")],
        [(b"transfer-encoding", b"chunked"), (b"content-length", b"1")],
        [(b"content-length", b"+1")],
        [(b"content-length", b"9" * 30)],
        [(b"transfer-encoding", b"gzip, chunked")],
        [(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")],
        [(b"host", b"a"), (b"host", b"b")],
        [(b"x-a", b"b\r\nx-evil: 1")],
        [(b"x-a\r\nx-evil", b"1")],
        [(b"x a", b"1")],
        [(b"", b"1")],
    ]
    targets: list[dict[str, Any]] = [
        {"raw_path": b"/a b"},
        {"raw_path": b"/\r\nx: y"},
        {"query_string": b"a b"},
        {"raw_path": b"a"},
    ]
    methods = [{"method": "GE T"}, {"method": "GET / HTTP/1.1\r\nx:"}]
    async with scripted(FINE) as app:
        proxy = Proxy(app.url)
        base: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": "/",
            "scheme": "http",
            "client": ("::1", 1),
        }
        changes: list[dict[str, Any]] = [*({"headers": headers} for headers in evil), *targets, *methods]
        for change in changes:
            sent: list[dict[str, Any]] = []

            async def send(message: Any, into: list[dict[str, Any]] = sent) -> None:
                into.append(message)

            async def receive() -> Any:
                return {"type": "http.request", "body": b"", "more_body": False}

            await proxy({**base, "headers": [], **change}, receive, send)
            assert sent[0]["status"] == 400, change
        assert app.heard == b""
        proxy.close()


EVIL_ANSWERS = {
    "length and chunked": OK + b"content-length: 3\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "two lengths": OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "a list of lengths": OK + b"content-length: 1, 2\r\n\r\nab",
    "a signed length": OK + b"content-length: -2\r\n\r\nab",
    "compressed": OK + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": OK + CHUNKED + CHUNKED + b"\r\n0\r\n\r\n",
    "almost chunked": OK + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "folded": OK + b"x-a: b\r\n set-cookie: c=d\r\ncontent-length: 0\r\n\r\n",
    "bare newline": OK + b"x-a: b\nset-cookie: c=d\r\ncontent-length: 0\r\n\r\n",
    "bare return": OK + b"x-a: b\rset-cookie: c=d\r\ncontent-length: 0\r\n\r\n",
    "nul": OK + b"x-a: b\x00\r\ncontent-length: 0\r\n\r\n",
    "a name with a space": OK + b"x a: b\r\ncontent-length: 0\r\n\r\n",
    "no name": OK + b": b\r\ncontent-length: 0\r\n\r\n",
    "switched protocols": b"HTTP/1.1 101 Go\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n" + FINE,
    "switched without a word": b"HTTP/1.1 101 Go\r\n\r\n" + FINE,
    "a status that is none": b"HTTP/1.1 999 What\r\ncontent-length: 0\r\n\r\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n",
    "another version": b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    "HTTP/0.9": b"<html>hello</html>\r\n\r\n",
    "interim for ever": b"HTTP/1.1 102 Wait\r\n\r\n" * 100 + FINE,
    "a head without end": OK + b"x-a: " + b"b" * 70_000 + b"\r\ncontent-length: 0\r\n\r\n",
    "heads without end": OK + b"x-a: b\r\n" * 20_000 + b"content-length: 0\r\n\r\n",
}


@pytest.mark.feature("X-23")
@pytest.mark.parametrize("answer", EVIL_ANSWERS.values(), ids=EVIL_ANSWERS)
async def test_an_answer_that_can_be_read_in_two_ways_is_not_handed_on(answer: bytes) -> None:
    async with scripted(answer, close=True) as app, proxied(app.url) as url:
        got = await say(url, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", finish=False)
        assert got.startswith(b"HTTP/1.1 502 "), got[:200]
        assert got.count(b"HTTP/1.1 ") == 1
        assert b"set-cookie" not in got


@pytest.mark.feature("X-23")
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("extra", [FINE.replace(b"ok", b"no"), b"garbage", b"\r\nHTTP/1.1 200 OK\r\n"])
async def test_a_second_answer_is_never_given_to_the_next_caller(method: bytes, extra: bytes) -> None:
    first = OK + b"content-length: 2\r\n\r\n" + (b"" if method == b"HEAD" else b"ok")

    def twice(said: Scripted) -> Speak:
        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            number = said.connections
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(first + extra if number == 1 else first.replace(b"ok", b"%02d" % number))
                await writer.drain()

        return speak

    async with scripted(twice) as app, proxied(app.url) as url:
        ask = method + b" / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
        one = await say(url, ask, finish=False)
        two = await say(url, ask, finish=False)
        assert b"no" not in one + two
        assert one.startswith(b"HTTP/1.1 200 ")
        assert two.startswith(b"HTTP/1.1 200 ")
        assert app.connections == 2


@pytest.mark.feature("X-23")
async def test_an_answer_that_comes_before_it_is_asked_for_is_nobodys() -> None:
    poison = asyncio.Event()

    def early(said: Scripted) -> Speak:
        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            number = said.connections
            await reader.readuntil(b"\r\n\r\n")
            writer.write(FINE)
            await writer.drain()
            if number == 1:
                await poison.wait()
                writer.write(FINE.replace(b"ok", b"no"))
                await writer.drain()
            await reader.readuntil(b"\r\n\r\n")

        return speak

    async with scripted(early) as app:
        proxy = Proxy(app.url, ProxySettings(pool_seconds=600))
        async with served(proxy) as url:
            ask = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
            assert (await say(url, ask, finish=False)).endswith(b"ok")
            assert proxy._pool.idle == 1
            poison.set()
            await until(lambda: not proxy._pool.idle)
            assert (await say(url, ask, finish=False)).endswith(b"ok")
            assert app.connections == 2


@pytest.mark.parametrize("trailer", [b"x-a: " + b"b" * 70_000, b"x-a: b\r\n" * 20_000 + b"x-b: c"])
async def test_trailers_without_end_end_the_answer(trailer: bytes) -> None:
    answer = OK + CHUNKED + b"\r\n2\r\nok\r\n0\r\n" + trailer + b"\r\n\r\n"
    async with scripted(answer) as app, proxied(app.url) as url:
        got = await say(url, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", finish=False)
        assert not got.endswith(b"0\r\n\r\n")


@pytest.mark.feature("X-23", "NET-03")
@pytest.mark.parametrize(
    "path",
    [
        "/static/../admin",
        "/static/..;/admin",
        "/static/..;a=b/admin",
        "/static/.;/x",
        "/static/%2e%2e/admin",
        "/static/%252e%252e/admin",
        "/static/..%2fadmin",
        "/static/..%252fadmin",
        "/static/..%5cadmin",
        "/static/%255c..%255cadmin",
        "/static//admin",
        "/static/%00",
    ],
)
def test_a_path_that_an_app_may_read_as_another_is_never_public(path: str) -> None:
    policy = Policy(["/static/*"])
    assert policy.need("GET", unquote(path)) == "app:read"
    assert policy.need("GET", "/static/a;v=1/100%.png") == "nothing"
