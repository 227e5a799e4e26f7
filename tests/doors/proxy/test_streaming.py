"""Bodies in both directions: as they come, at the pace of the slower side, and whole or visibly not."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from bartizan.doors.proxy import Proxy
from bartizan.foundation.settings import ProxySettings
from tests.doors.proxy.upstreams import Scripted, Speak, proxied, say, scripted, told, until
from tests.doors.served import served

MIB = 1024 * 1024
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.feature("X-23")
@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "sized"])
@pytest.mark.parametrize("size", [0, 1, 70_000, 5 * MIB])
async def test_an_upload_arrives_whole(size: int, *, chunked: bool) -> None:
    async def pieces() -> AsyncGenerator[bytes]:
        for start in range(0, size, 100_000):
            yield b"x" * min(100_000, size - start)

    async with served(told) as app, proxied(app) as url, httpx.AsyncClient() as http:
        for _ in range(2):  # the second on the same connection
            answer = await http.put(url, content=pieces() if chunked else b"x" * size)
            seen = answer.json()
            assert seen["bytes"] == size
            fields = dict(seen["headers"])
            assert ("transfer-encoding" in fields, "content-length" in fields) == (chunked, not chunked)


@pytest.mark.feature("X-23")
async def test_a_download_arrives_whole_on_one_connection_after_the_other() -> None:
    body = bytes(range(256)) * 20_000

    async def big(scope: Any, receive: Any, send: Any) -> None:
        sized = [(b"content-length", str(len(body)).encode())] if scope["path"] == "/sized" else []
        await send({"type": "http.response.start", "status": 200, "headers": sized})
        for start in range(0, len(body), 300_000):
            await send(
                {"type": "http.response.body", "body": body[start : start + 300_000], "more_body": True}
            )
        await send({"type": "http.response.body"})

    async with served(big, lifespan="off") as app, proxied(app) as url, httpx.AsyncClient() as http:
        for path in ("/sized", "/chunked", "/sized"):
            assert (await http.get(url + path)).content == body


@pytest.mark.feature("X-23")
async def test_an_event_is_heard_before_the_next_is_made() -> None:
    heard = asyncio.Event()
    hung_up = asyncio.Event()

    async def events(scope: Any, receive: Any, send: Any) -> None:
        fields = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        await heard.wait()
        await send({"type": "http.response.body", "body": b"data: 2\n\n", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        hung_up.set()

    async with served(events, lifespan="off") as app, proxied(app) as url, httpx.AsyncClient() as http:
        async with http.stream("GET", url) as answer:
            stream = answer.aiter_bytes()
            assert await anext(stream) == b"data: 1\n\n"
            heard.set()
            assert await anext(stream) == b"data: 2\n\n"
        # The caller has hung up: so does the proxy, although the application says nothing more.
        await asyncio.wait_for(hung_up.wait(), 20)


async def test_a_caller_that_leaves_before_the_answer_is_noticed() -> None:
    asked, hung_up = asyncio.Event(), asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        asked.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        hung_up.set()

    async with served(slow, lifespan="off") as app, proxied(app) as url:
        _, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        await asked.wait()
        writer.close()
        await asyncio.wait_for(hung_up.wait(), 20)


@pytest.mark.feature("X-23")
async def test_the_application_is_not_asked_for_more_than_the_caller_takes() -> None:
    made = 0
    stuck = asyncio.Event()

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        nonlocal made
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                async with asyncio.timeout(1):
                    await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
                made += 65536
        except TimeoutError:
            stuck.set()

    async with served(endless, lifespan="off") as app, proxied(app) as url:
        _reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]), limit=1024)
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        await asyncio.wait_for(stuck.wait(), 30)
        writer.close()
    assert made < 64 * MIB  # the kernel's buffers on the way; without back-pressure it never gets stuck


async def test_the_caller_is_not_asked_for_more_than_the_application_takes() -> None:
    release = asyncio.Event()

    def lazy(said: Scripted) -> Speak:
        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            await release.wait()
            said.heard = await reader.readexactly(256 * MIB)
            writer.write(OK + b"content-length: 0\r\n\r\n")
            await writer.drain()

        return speak

    async with scripted(lazy) as app, proxied(app.url) as url:
        _reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        writer.write(b"PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % (256 * MIB))
        sent = 0
        with pytest.raises(TimeoutError):  # noqa: PT012 - whichever of the writes it is
            while True:
                writer.write(b"x" * MIB)
                sent += MIB
                async with asyncio.timeout(1):
                    await writer.drain()
        assert sent < 64 * MIB
        writer.close()
        release.set()


@pytest.mark.feature("X-23")
async def test_who_asks_whether_to_send_is_answered_by_the_application() -> None:
    head = b"PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n"

    def asked(said: Scripted) -> Speak:
        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            said.heard = await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            said.heard += await reader.readexactly(5)
            writer.write(OK + b"content-length: 4\r\n\r\ndone")
            await writer.drain()

        return speak

    async with scripted(asked) as app, proxied(app.url) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        writer.write(head)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hello")
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(4) == b"done"
        writer.close()
        assert app.heard.endswith(b"\r\n\r\nhello")
        assert app.heard.count(b"expect: 100-continue") == 1
    async with scripted(b"HTTP/1.1 417 No\r\ncontent-length: 2\r\n\r\nno") as app, proxied(app.url) as url:
        answer = await say(url, head, finish=False)
        assert b"417" in answer.partition(b"\r\n")[0]
        assert b"100 Continue" not in answer
        assert b"connection: close" in answer
        assert b"hello" not in app.heard


async def test_an_application_that_never_says_go_ahead_gets_the_body_all_the_same() -> None:
    def silent(said: Scripted) -> Speak:
        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            said.heard = await reader.readuntil(b"0\r\n\r\n")
            writer.write(OK + b"content-length: 0\r\n\r\n")
            await writer.drain()

        return speak

    async with scripted(silent) as app, proxied(app.url) as url:
        sent = b"PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n"
        answer = await say(url, sent + b"connection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n", finish=False)
        assert b" 200 OK" in answer
        assert app.heard == b"5\r\nhello\r\n0\r\n\r\n"


@pytest.mark.feature("X-23")
@pytest.mark.parametrize(
    ("answer", "method", "status", "body"),
    [
        (OK + b"content-length: 1000\r\n\r\n", "HEAD", 200, b""),
        (OK + b"transfer-encoding: chunked\r\n\r\n", "HEAD", 200, b""),
        (b"HTTP/1.1 204 None\r\n\r\n", "GET", 204, b""),
        (b"HTTP/1.1 304 Same\r\ncontent-length: 1000\r\netag: x\r\n\r\n", "GET", 304, b""),
        (b"HTTP/1.1 103 Hints\r\nlink: x\r\n\r\n" + OK + b"content-length: 2\r\n\r\nok", "GET", 200, b"ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + OK + b"content-length: 2\r\n\r\nok", "GET", 200, b"ok"),
        (OK + b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n", "GET", 200, b"ok"),
        (OK + b"content-length: 0\r\n\r\n", "GET", 200, b""),
    ],
)
async def test_answers_without_a_body_end_where_they_should(
    answer: bytes, method: str, status: int, body: bytes
) -> None:
    async with scripted(answer) as app, proxied(app.url) as url, httpx.AsyncClient() as http:
        for _ in range(3):
            got = await http.request(method, url)
            assert (got.status_code, got.content) == (status, body)
            assert "x-sum" not in got.headers
        assert app.connections == 1


@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/1.1"])
async def test_an_answer_without_a_length_ends_with_its_connection(version: bytes) -> None:
    answer = version + b" 200 OK\r\ncontent-type: text/plain\r\n\r\nuntil the end"
    async with scripted(answer, close=True) as app, proxied(app.url) as url, httpx.AsyncClient() as http:
        for _ in range(2):
            assert (await http.get(url)).text == "until the end"
        assert app.connections == 2


@pytest.mark.feature("X-23")
@pytest.mark.parametrize(
    "head", [b"content-length: 100\r\n\r\nhalf", b"transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"]
)
async def test_an_answer_that_breaks_off_never_looks_whole(head: bytes) -> None:
    async with scripted(OK + head, close=True) as app, proxied(app.url) as url, httpx.AsyncClient() as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(url)
        answer = await say(url, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", finish=False)
    assert answer.endswith((b"half", b"half\r\n"))


async def test_an_early_refusal_of_an_upload_reaches_the_caller() -> None:
    def refusing(said: Scripted) -> Speak:
        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig")
            while await reader.read(65536):
                pass

        return speak

    async with scripted(refusing) as app, proxied(app.url) as url, httpx.AsyncClient() as http:

        async def pieces() -> AsyncGenerator[bytes]:
            for _ in range(200):
                yield b"x" * 65536

        for _ in range(2):
            got = await http.put(url, content=pieces())
            assert (got.status_code, got.text) == (413, "big")
        assert app.connections == 2  # what was half sent is not used again


async def test_a_caller_that_leaves_in_the_middle_of_an_upload_ends_it() -> None:
    over = asyncio.Event()

    def reading(said: Scripted) -> Speak:
        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while data := await reader.read(65536):
                    said.heard += data
            finally:
                over.set()

        return speak

    async with scripted(reading) as app, proxied(app.url) as url:
        _, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        writer.write(b"PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n" + b"x" * 70_000)
        await until(lambda: b"xxxx" in app.heard)
        writer.close()
        await asyncio.wait_for(over.wait(), 20)


@pytest.mark.parametrize("pieces", [[b""], [b"hello"], [b"he", b"llo"], [b"", b""]])
async def test_a_server_that_does_not_say_whether_there_is_a_body_is_waited_for(pieces: list[bytes]) -> None:
    # HTTP/2 has neither Content-Length nor Transfer-Encoding for a body of unknown length.
    sent: list[dict[str, Any]] = []
    waiting = list(pieces)

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        piece = waiting.pop(0) if waiting else b""
        return {"type": "http.request", "body": piece, "more_body": bool(waiting)}

    scope = {"type": "http", "http_version": "2", "method": "POST", "scheme": "https", "path": "/"}
    fields = [(b"host", b"a"), (b"expect", b"100-continue")]
    async with served(told) as app:
        proxy = Proxy(app)
        await proxy({**scope, "headers": fields, "client": None}, receive, send)
        proxy.close()
    seen = json.loads(sent[1]["body"])
    assert seen["bytes"] == sum(map(len, pieces))
    assert "expect" not in dict(seen["headers"])
    assert "x-forwarded-for" not in dict(seen["headers"])


@pytest.mark.parametrize("said", [3, 9])
async def test_a_body_that_does_not_keep_its_word_reaches_nobody(said: int) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"hello", "more_body": False}

    scope = {"type": "http", "method": "POST", "scheme": "http", "path": "/", "client": None}
    async with scripted(OK + b"content-length: 0\r\n\r\n") as app:
        proxy = Proxy(app.url)
        await proxy({**scope, "headers": [(b"content-length", b"%d" % said)]}, receive, send)
        proxy.close()
        assert sent[0]["status"] == 499
        assert app.heard == b""


async def test_a_caller_that_is_gone_at_once_is_not_asked_for() -> None:
    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError(message)

    scope = {"type": "http", "method": "POST", "scheme": "http", "path": "/", "client": None}
    async with scripted(OK + b"content-length: 0\r\n\r\n") as app:
        proxy = Proxy(app.url)
        await proxy({**scope, "headers": [(b"content-length", b"5")]}, receive, send)
        assert app.connections == 0
    with pytest.raises(RuntimeError, match="telepathy"):
        await proxy({"type": "telepathy"}, receive, send)
    with pytest.raises(ValidationError):
        ProxySettings(health_path="no slash")


@pytest.mark.feature("X-23")
async def test_what_a_caller_changed_before_it_left_is_told_by_the_application() -> None:
    gone = asyncio.Event()
    pieces = [b"he", b"llo"]
    sent: list[dict[str, Any]] = []

    def late(said: Scripted) -> Speak:
        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            said.heard = await reader.readuntil(b"hello")
            await gone.wait()
            await asyncio.sleep(0)
            writer.write(b"HTTP/1.1 201 Made\r\ncontent-length: 1000000\r\n\r\nbegun")
            await reader.read()

        return speak

    async def receive() -> Any:
        if pieces:
            return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}
        gone.set()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "scheme": "http", "path": "/", "client": None}
    async with scripted(late) as app:
        proxy = Proxy(app.url)
        async with asyncio.timeout(30):  # nobody is there to hear the rest, so it is not waited for
            await proxy({**scope, "headers": [(b"content-length", b"5")]}, receive, send)
        proxy.close()
    assert [message.get("status") for message in sent] == [201]
