"""Websockets through the proxy, with real servers on both ends."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from socket import create_server
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bartizan.doors.proxy import Proxy
from bartizan.foundation.settings import ProxySettings
from tests.doors.proxy.upstreams import proxied, scripted
from tests.doors.served import served
from tests.harness.processes import free_port

MIB = 1024 * 1024
WS = {"ws_max_size": 64 * MIB, "ws_per_message_deflate": False, "proxy_headers": False}


@asynccontextmanager
async def aiohttp_app(handler: Any) -> AsyncGenerator[str]:
    """Serve a websocket handler with aiohttp."""
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    listening = create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listening).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        await runner.cleanup()


async def echo(request: web.Request) -> web.WebSocketResponse:
    """Say what was heard; the first message is what the handshake said."""
    socket = web.WebSocketResponse(protocols=("v2.chat", "v1.chat"), max_msg_size=0)
    socket.headers["x-made-by"] = "aiohttp"
    await socket.prepare(request)
    await socket.send_json({"path": request.path_qs, "headers": dict(request.headers)})
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            if message.data.startswith("close "):
                await socket.close(code=int(message.data.split()[1]), message=b"as you wish")
            else:
                await socket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


def dial(url: str, path: str = "/", **options: Any) -> connect:
    return connect(url.replace("http", "ws", 1) + path, **{"max_size": None, "compression": None, **options})


async def closing(socket: ClientConnection) -> tuple[int, str]:
    """Read until the other side closes; give the code and the reason."""
    with pytest.raises(ConnectionClosed) as closed:  # noqa: PT012 - whichever it is
        while True:
            await asyncio.wait_for(socket.recv(), 20)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


@pytest.mark.feature("X-23")
async def test_messages_pass_in_both_directions_whatever_their_size() -> None:
    async with aiohttp_app(echo) as app, proxied(app, serve=WS, max_message=64 * MIB) as url:  # noqa: SIM117
        async with dial(url, "/a%20b?x=1", subprotocols=["v1.chat", "v2.chat"]) as socket:
            said = await socket.recv()
            assert '"path": "/a%20b?x=1"' in str(said)
            assert socket.subprotocol == "v1.chat"
            assert socket.response is not None
            assert socket.response.headers["x-made-by"] == "aiohttp"
            for message in ("", "hello", "ü" * 70_000, b"", b"\x00\xff", b"x" * (20 * MIB)):
                await socket.send(message)
                assert await socket.recv() == message
            await socket.send(["in ", "three ", "pieces"])
            assert await socket.recv() == "in three pieces"


@pytest.mark.feature("X-23")
async def test_the_handshake_tells_where_it_came_from_and_keeps_the_host() -> None:
    lies = {"X-Forwarded-For": "6.6.6.6", "X_Forwarded_For": "6.6.6.6", "Cookie": "a=1", "X-Name": "Zoë"}
    async with aiohttp_app(echo) as app, proxied(app, serve=WS) as url:  # noqa: SIM117 - the line is full
        async with dial(url, additional_headers=lies, origin="http://app.example") as socket:
            said = str(await socket.recv()).lower()
    assert '"x-forwarded-for": "127.0.0.1"' in said
    assert "6.6.6.6" not in said
    assert '"x-name": "zo' in said
    assert f'"host": "{url.removeprefix("http://")}"' in said
    assert '"origin": "http://app.example"' in said
    assert '"cookie": "a=1"' in said
    assert said.count("sec-websocket-key") == 1
    assert "sec-websocket-extensions" not in said
    assert "permessage-deflate" not in said


@pytest.mark.feature("X-23")
@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4401, 4999])
async def test_the_reason_for_the_end_passes_in_both_directions(code: int) -> None:
    ended: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    async def listen(socket: ServerConnection) -> None:
        await socket.wait_closed()
        assert socket.protocol.close_rcvd is not None
        ended.set_result((socket.protocol.close_rcvd.code, socket.protocol.close_rcvd.reason))

    async with aiohttp_app(echo) as app, proxied(app, serve=WS) as url, dial(url) as socket:
        await socket.send(f"close {code}")
        assert await closing(socket) == (code, "as you wish")
    async with serve(listen, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with proxied(f"http://127.0.0.1:{port}", serve=WS) as url, dial(url) as socket:
            await socket.close(code, "enough")
            assert (await asyncio.wait_for(ended, 20))[0] == code


async def test_an_end_without_a_reason_is_an_ordinary_one() -> None:
    async def silent(socket: ServerConnection) -> None:
        socket.protocol.send_close()
        for data in socket.protocol.data_to_send():
            socket.transport.write(data)
        await socket.wait_closed()

    async with serve(silent, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with proxied(f"http://127.0.0.1:{port}", serve=WS) as url, dial(url) as socket:
            assert (await closing(socket))[0] == 1000


async def test_a_caller_that_vanishes_makes_us_vanish() -> None:
    gone = asyncio.Event()
    here = asyncio.Event()

    async def listen(socket: ServerConnection) -> None:
        here.set()
        await socket.wait_closed()
        gone.set()

    async with serve(listen, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with proxied(f"http://127.0.0.1:{port}", serve=WS) as url:
            socket = await dial(url)
            await here.wait()
            socket.transport.abort()
            await asyncio.wait_for(gone.wait(), 20)


async def test_an_application_that_vanishes_is_said_to_have() -> None:
    async def vanish(socket: ServerConnection) -> None:
        await socket.send("here")
        socket.transport.abort()
        await socket.wait_closed()

    async with serve(vanish, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with proxied(f"http://127.0.0.1:{port}", serve=WS) as url, dial(url) as socket:
            assert (await closing(socket))[0] == 1014


@pytest.mark.feature("X-23")
async def test_pings_of_the_application_are_answered_and_its_silence_is_noticed() -> None:
    async def ask(socket: ServerConnection) -> None:
        await (await socket.ping())
        await socket.send("alive")
        await socket.wait_closed()

    async def stunned(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        await asyncio.Event().wait()
        return socket

    async with serve(ask, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with (
            proxied(f"http://127.0.0.1:{port}", serve=WS, ping_seconds=0.05) as url,
            dial(url) as socket,
        ):
            assert await socket.recv() == "alive"
            await asyncio.sleep(0)
    async with (
        aiohttp_app(stunned) as app,
        proxied(app, serve=WS, ping_seconds=0.05) as url,
        dial(url) as socket,
    ):
        assert (await closing(socket))[0] == 1014


async def test_a_message_that_is_too_large_ends_the_socket() -> None:
    async def shout(socket: ServerConnection) -> None:
        await socket.send("x" * 100_000)
        await socket.wait_closed()

    async with serve(shout, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with (
            proxied(f"http://127.0.0.1:{port}", serve=WS, max_message=50_000) as url,
            dial(url) as socket,
        ):
            assert (await closing(socket))[0] == 1009


@pytest.mark.feature("X-23")
async def test_a_refused_handshake_is_handed_on_as_it_is() -> None:
    answer = b"HTTP/1.1 403 No\r\nx-why: closed\r\ncontent-length: 6\r\nconnection: close\r\n\r\nclosed"
    async with scripted(answer, close=True) as app, proxied(app.url, serve=WS) as url:
        with pytest.raises(InvalidStatus) as refused:
            await dial(url)
    assert refused.value.response.status_code == 403
    assert refused.value.response.headers["x-why"] == "closed"
    assert refused.value.response.body == b"closed"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (
            (
                b"HTTP/1.1 101 Go\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
                b"sec-websocket-accept: x\r\n\r\n"
            ),
            502,
        ),
        (b"HTTP/1.1 101 Go\r\n\r\n", 502),
        (b"SSH-2.0-OpenSSH\r\n\r\n", 502),
        (b"", 502),
    ],
)
async def test_a_handshake_that_makes_no_sense_is_refused(answer: bytes, status: int) -> None:
    async with scripted(answer, close=True) as app, proxied(app.url, serve=WS) as url:
        with pytest.raises(InvalidStatus) as refused:
            await dial(url)
    assert refused.value.response.status_code == status
    assert refused.value.response.headers["content-type"] == "application/problem+json"


async def test_a_handshake_with_nobody_or_with_silence_is_refused_in_time() -> None:
    async with proxied(f"http://127.0.0.1:{free_port()}", serve=WS) as url:
        with pytest.raises(InvalidStatus) as refused:
            await dial(url)
        assert refused.value.response.status_code == 502

    def silent(_said: Any) -> Any:
        async def speak(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await reader.read(-1)

        return speak

    async with scripted(silent) as app, proxied(app.url, serve=WS, answer_timeout=0.2) as url:
        with pytest.raises(InvalidStatus) as refused:
            await dial(url)
        assert refused.value.response.status_code == 504


async def test_a_server_that_cannot_refuse_in_words_closes() -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    scope: dict[str, Any] = {"type": "websocket", "path": "/", "scheme": "ws", "headers": [], "client": None}
    proxy = Proxy(f"http://127.0.0.1:{free_port()}", ProxySettings())
    await proxy(scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1014}]


@pytest.mark.feature("X-23")
async def test_neither_side_is_flooded_while_the_other_is_slow() -> None:
    sent = 0
    stuck = asyncio.Event()

    async def flood(socket: ServerConnection) -> None:
        nonlocal sent
        try:
            while True:
                async with asyncio.timeout(1):
                    await socket.send(b"x" * 65536)
                sent += 65536
        except TimeoutError:
            stuck.set()
        await socket.wait_closed()

    async with serve(flood, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with served(Proxy(f"http://127.0.0.1:{port}"), **WS) as url:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", int(url.rsplit(":", 1)[1]), limit=1024
            )
            writer.write(
                b"GET / HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
                b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            )
            await asyncio.wait_for(stuck.wait(), 30)
            assert sent < 64 * MIB
            writer.transport.abort()
            assert reader is not None


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\x02\xff\xfe", 1007),  # text that is none
        (b"\xc1\x01a", 1002),  # compressed, which was never agreed upon
        (b"\x81\x81\x00\x00\x00\x00a", 1002),  # masked, as only callers do
    ],
)
async def test_a_frame_that_breaks_the_protocol_ends_the_socket(frame: bytes, code: int) -> None:
    async def rude(socket: ServerConnection) -> None:
        socket.transport.write(b"\x89\x00" + frame)  # a ping first
        await socket.wait_closed()

    async with serve(rude, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with proxied(f"http://127.0.0.1:{port}", serve=WS) as url, dial(url) as socket:
            assert (await closing(socket))[0] == code
