"""The gate on a real socket: websockets, encoded paths, and a server that does not speak lifespan."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bartizan.doors.frameworks import Wrapped, wrap
from bartizan.doors.guard.request import session_cookie
from bartizan.doors.testing import Cast
from tests.doors.hosts import echo
from tests.doors.served import served


@pytest.fixture
async def app(bartizan_settings: dict[str, Any]) -> AsyncGenerator[Wrapped]:
    app = wrap(echo(), {**bartizan_settings, "embedded_worker": False, "guard": {"caller_ttl": 0.2}})
    yield app
    await app.bz.stop()


def socket(url: str, **headers: str) -> Any:
    return connect(url.replace("http", "ws") + "/talk", additional_headers=headers)


@pytest.mark.feature("CORE-02")
async def test_a_websocket_is_refused_at_the_handshake_without_a_caller(app: Wrapped) -> None:
    async with served(app) as url:
        for headers in ({}, {"authorization": "Bearer nonsense"}, {"x-api-key": "btz_live_nonsense"}):
            with pytest.raises(InvalidStatus) as refused:
                async with socket(url, **headers):
                    pass
            assert refused.value.response.status_code in {401, 403}


@pytest.mark.feature("CORE-02", "ID-06", "X-05")
async def test_a_websocket_lives_until_its_session_ends(app: Wrapped) -> None:
    async with served(app) as url:
        cast = Cast(app.bz)
        member = await cast.person(await cast.organization())
        async with socket(url, authorization=f"Bearer {member.access_token}") as talk:
            await talk.send("hello")
            assert json.loads(await talk.recv()) == {"you": member.id, "said": "hello"}
            async with httpx.AsyncClient(base_url=url) as http:
                bearer = {"authorization": f"Bearer {member.access_token}"}
                await http.post("/_bartizan/api/v1/auth/logout", headers=bearer)
            with pytest.raises(ConnectionClosed) as closed:
                await asyncio.wait_for(talk.recv(), 5)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4401


@pytest.mark.feature("ID-16")
async def test_a_page_of_another_site_cannot_open_a_socket_with_the_cookie(app: Wrapped) -> None:
    async with served(app) as url:
        cast = Cast(app.bz)
        member = await cast.person(await cast.organization())
        cookie = f"{session_cookie(secure=False)}={member.token}"
        async with socket(url, cookie=cookie, origin=url) as talk:
            await talk.send("hi")
            assert "hi" in await talk.recv()
        for origin in ("https://evil.example", "null"):
            with pytest.raises(InvalidStatus):
                async with socket(url, cookie=cookie, origin=origin):
                    pass


@pytest.mark.feature("CORE-02")
async def test_encoded_paths_reach_the_handler_only_through_the_gate(app: Wrapped) -> None:
    async with served(app) as url:
        cast = Cast(app.bz)
        member = await cast.person(await cast.organization())
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        for path in ("/%61pi/things", "/api%2Fthings", "//api/things", "/x/..%2fapi", "/%2e%2e/api"):
            writer.write(f"GET {path} HTTP/1.1\r\nhost: app.test\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 401"), (path, head)
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
        bearer = f"authorization: Bearer {member.access_token}\r\n"
        writer.write(f"GET /%61pi/things HTTP/1.1\r\nhost: app.test\r\n{bearer}\r\n".encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        writer.close()


@pytest.mark.feature("CORE-01")
async def test_a_server_without_lifespan_starts_the_house_at_the_first_request(app: Wrapped) -> None:
    async with served(app, lifespan="off") as url, httpx.AsyncClient(base_url=url) as http:
        answers = await asyncio.gather(*(http.get("/api/things") for _ in range(5)))
        assert [answer.status_code for answer in answers] == [401] * 5
        assert app.bz.started
