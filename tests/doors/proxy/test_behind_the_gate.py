"""The whole of ``bartizan guard --upstream``: the gate, the proxy behind it, an app nobody changed."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bartizan.backbone.audit import AuditQuery
from bartizan.doors.frameworks import Wrapped
from bartizan.doors.proxy import Proxy
from bartizan.doors.testing import Cast, Person
from bartizan.foundation.context import current
from bartizan.house import Bartizan
from tests.doors.proxy.test_relayed_sockets import aiohttp_app, echo
from tests.doors.proxy.upstreams import Scripted, Speak, scripted, told
from tests.doors.served import served
from tests.harness.processes import free_port


@asynccontextmanager
async def guarding(
    upstream: str, settings: dict[str, Any], **more: Any
) -> AsyncGenerator[tuple[Wrapped, str]]:
    """Serve the gate and the proxy as the command does; give the gate and its address."""
    house = Bartizan({**settings, "guard": {"caller_ttl": 0.2}, **more})
    proxy = Proxy(upstream, house.settings.proxy)
    house.on_readiness("upstream", proxy.healthy)
    wrapped = Wrapped(proxy, house)
    async with served(wrapped, proxy_headers=False) as url:
        yield wrapped, url


def bearer(person: Person) -> dict[str, str]:
    return {"authorization": f"Bearer {person.access_token}"}


async def audited(app: Wrapped, org_id: str) -> list[tuple[str | None, str, Any]]:
    with current.as_system(org_id):
        page = await app.bz.audit.search(AuditQuery())
        events = [event for event in page.items if event.action.startswith("request.")]
        return [(event.path, event.outcome, (event.changes or {}).get("status")) for event in events]


@pytest.mark.feature("X-23", "CORE-02", "AZ-01", "AUD-01")
async def test_people_roles_and_a_record_stand_in_front_of_an_unchanged_app(
    bartizan_settings: dict[str, Any],
) -> None:
    async with served(told) as upstream, guarding(upstream, bartizan_settings) as (app, url):
        cast = Cast(app.bz)
        org_id = await cast.organization()
        member, viewer = await cast.person(org_id), await cast.person(org_id, "viewer")
        async with httpx.AsyncClient(base_url=url) as http:
            assert (await http.get("/things")).status_code == 401
            page = await http.get("/things", headers={"accept": "text/html"})
            assert page.status_code == 303
            seen = (await http.put("/things?a=b", content=b"x" * 300_000, headers=bearer(member))).json()
            assert (seen["target"], seen["bytes"]) == ("/things?a=b", 300_000)
            fields = dict(seen["headers"])
            assert "authorization" not in fields
            assert fields["x-forwarded-for"] == "127.0.0.1"
            assert (await http.put("/things", content=b"x", headers=bearer(viewer))).status_code == 403
            assert (await http.get("/things", headers=bearer(viewer))).status_code == 200
            ready = await http.get("/_bartizan/health/ready")
            assert ready.json()["checks"]["upstream"] is True
        rows = await audited(app, org_id)
        assert sorted(rows) == [("/things", "denied", 403), ("/things", "success", 200)]


@pytest.mark.feature("X-23")
async def test_an_app_that_is_gone_makes_the_gate_not_ready(bartizan_settings: dict[str, Any]) -> None:
    async with guarding(f"http://127.0.0.1:{free_port()}", bartizan_settings) as (app, url):
        cast = Cast(app.bz)
        member = await cast.person(await cast.organization())
        async with httpx.AsyncClient(base_url=url) as http:
            ready = await http.get("/_bartizan/health/ready")
            assert (ready.status_code, ready.json()["checks"]["upstream"]) == (503, False)
            assert (await http.get("/_bartizan/health/live")).status_code == 200
            got = await http.get("/", headers=bearer(member))
            assert (got.status_code, got.json()["code"]) == (502, "upstream-unreachable")
            assert got.json()["request_id"] == got.headers["x-request-id"]


@pytest.mark.feature("X-23")
async def test_a_body_beyond_the_limit_is_refused_while_it_comes(bartizan_settings: dict[str, Any]) -> None:
    async def pieces() -> AsyncGenerator[bytes]:
        for _ in range(100):
            yield b"x" * 10_000

    limits = {"guard": {"max_body": 100_000}}
    async with served(told) as upstream, guarding(upstream, bartizan_settings, **limits) as (app, url):
        cast = Cast(app.bz)
        member = await cast.person(await cast.organization())
        async with httpx.AsyncClient(base_url=url) as http:
            got = await http.put("/", content=pieces(), headers=bearer(member))
            assert (got.status_code, got.json()["code"]) == (413, "body-too-large")
            assert (await http.put("/", content=b"x", headers=bearer(member))).status_code == 200


@pytest.mark.feature("X-23", "AUD-01")
@pytest.mark.parametrize("wholly", [True, False], ids=["after its request", "in the middle of it"])
async def test_who_hangs_up_is_on_the_record_all_the_same(
    bartizan_settings: dict[str, Any], *, wholly: bool
) -> None:
    here, go = asyncio.Event(), asyncio.Event()

    def slow(said: Scripted) -> Speak:
        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            here.set()
            await go.wait()
            writer.write(b"HTTP/1.1 201 Made\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()

        return speak

    async with scripted(slow) as upstream, guarding(upstream.url, bartizan_settings) as (app, url):
        cast = Cast(app.bz)
        org_id = await cast.organization()
        member = await cast.person(org_id)
        _, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        token = member.access_token.encode()
        head = b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 70000\r\nauthorization: Bearer " + token
        writer.write(head + b"\r\n\r\n" + b"x" * (70_000 if wholly else 69_999))
        await here.wait()
        writer.close()
        await writer.wait_closed()
        await asyncio.sleep(0)
        go.set()
        rows: list[Any] = []
        async with asyncio.timeout(30):
            while not rows:
                rows = await audited(app, org_id)
                await asyncio.sleep(0.05)
        assert rows == ([("/x", "success", 201)] if wholly else [("/x", "failure", 499)])


@pytest.mark.feature("X-23", "CORE-02", "ID-06")
async def test_a_websocket_is_refused_to_strangers_and_lives_as_long_as_its_session(
    bartizan_settings: dict[str, Any],
) -> None:
    async with aiohttp_app(echo) as upstream, guarding(upstream, bartizan_settings) as (app, url):
        cast = Cast(app.bz)
        member = await cast.person(await cast.organization())
        address = url.replace("http", "ws", 1) + "/talk"
        with pytest.raises(InvalidStatus) as refused:
            await connect(address)
        assert refused.value.response.status_code in {401, 403}
        async with connect(address, additional_headers=bearer(member)) as socket:
            said = json.loads(await socket.recv())
            assert "authorization" not in {name.lower() for name in said["headers"]}
            await socket.send("hello")
            assert await socket.recv() == "hello"
            async with httpx.AsyncClient(base_url=url, headers=bearer(member)) as http:
                await http.post("/_bartizan/api/v1/auth/logout")
            with pytest.raises(ConnectionClosed) as closed:
                await asyncio.wait_for(socket.recv(), 20)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4401
