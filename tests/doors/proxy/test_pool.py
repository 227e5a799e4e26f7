"""Connections to the application: kept, bounded, tried again where that is harmless, and given up in time."""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bartizan.doors.proxy import Proxy
from bartizan.foundation.settings import ProxySettings
from tests.doors.proxy.upstreams import Scripted, Speak, proxied, scripted, told, until
from tests.doors.served import served
from tests.harness.processes import free_port

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
BROWSER = {"accept": "text/html", "sec-fetch-mode": "navigate"}


def once(said: Scripted) -> Speak:
    """Answer one request on each connection, and close it at the next."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said.heard += await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
        said.heard += await reader.readuntil(b"\r\n\r\n")

    return speak


@pytest.mark.feature("X-23")
async def test_a_connection_is_used_again_and_let_go_when_it_is_old() -> None:
    async with scripted(OK) as app:
        proxy = Proxy(app.url, ProxySettings(pool_seconds=0.2))
        async with served(proxy) as url, httpx.AsyncClient() as http:
            for _ in range(5):
                assert (await http.get(url)).text == "ok"
            assert app.connections == 1
            await until(lambda: not proxy._pool.idle)
            assert (await http.get(url)).text == "ok"
            assert app.connections == 2


async def test_no_more_idle_connections_are_kept_than_a_setting_says() -> None:
    async with scripted(OK) as app:
        proxy = Proxy(app.url, ProxySettings(pool_size=2, pool_seconds=60))
        async with served(proxy) as url, httpx.AsyncClient() as http:
            await asyncio.gather(*(http.get(url) for _ in range(10)))
            assert proxy._pool.idle <= 2
            assert proxy._pool.busy == 0


@pytest.mark.feature("X-23")
async def test_only_what_does_no_harm_twice_is_sent_again() -> None:
    async with scripted(once) as app, proxied(app.url, pool_seconds=60) as url, httpx.AsyncClient() as http:
        for method in ("GET", "DELETE", "HEAD", "OPTIONS"):
            assert (await http.request(method, url)).status_code == 200
            assert (await http.request(method, url)).status_code == 200
        app.heard = b""
        assert (await http.get(url)).status_code == 200  # on a fresh one: the old was found dead
        assert (await http.post(url, content=b"")).status_code == 502
        assert app.heard.count(b"POST") == 1
        assert (await http.get(url)).status_code == 200
        assert (await http.put(url, content=b"body")).status_code == 502
        assert app.heard.count(b"PUT") == 1


async def test_a_fresh_connection_that_breaks_is_not_tried_again() -> None:
    def mute(said: Scripted) -> Speak:
        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            said.heard += await reader.readuntil(b"\r\n\r\n")

        return speak

    async with scripted(mute) as app, proxied(app.url) as url, httpx.AsyncClient() as http:
        got = await http.get(url)
        assert (got.status_code, got.json()["code"]) == (502, "upstream-broke-off")
        assert app.heard.count(b"GET") == 1


@pytest.mark.feature("X-23")
async def test_an_application_that_is_gone_is_said_clearly() -> None:
    async with proxied(f"http://127.0.0.1:{free_port()}") as url, httpx.AsyncClient() as http:
        program = await http.get(url)
        assert program.status_code == 502
        assert program.headers["content-type"] == "application/problem+json"
        assert program.headers["retry-after"]
        assert program.json()["code"] == "upstream-unreachable"
        assert "127.0.0.1" not in program.text
        person = await http.get(url, headers=BROWSER)
        assert person.status_code == 502
        assert person.headers["content-type"].startswith("text/html")
        assert "cannot be reached" in person.text
        nothing = await http.head(url)
        assert (nothing.status_code, nothing.content) == (502, b"")


@pytest.mark.feature("X-23")
async def test_an_application_that_takes_too_long_is_given_up() -> None:
    def silent(said: Scripted) -> Speak:
        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"/stream" in head:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
                await writer.drain()
            await reader.read()

        return speak

    async with (
        scripted(silent) as app,
        proxied(app.url, answer_timeout=0.3, idle_timeout=0.3) as url,
        httpx.AsyncClient() as http,
    ):
        got = await http.get(url)
        assert (got.status_code, got.json()["code"]) == (504, "upstream-too-slow")
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(f"{url}/stream")


async def test_an_application_that_accepts_nothing_is_given_up() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)  # noqa: FBT003
            filler.connect_ex(("127.0.0.1", port))
        async with (
            proxied(f"http://127.0.0.1:{port}", connect_timeout=0.3) as url,
            httpx.AsyncClient() as http,
        ):
            assert (await http.get(url)).status_code == 504
        for filler in fillers:
            filler.close()


async def test_requests_beyond_the_limit_wait_their_turn_or_are_refused() -> None:
    release = asyncio.Event()

    def held(said: Scripted) -> Speak:
        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if b"/held" in head:
                    await release.wait()
                writer.write(OK)
                await writer.drain()

        return speak

    async with scripted(held) as app:
        proxy = Proxy(app.url, ProxySettings(connections=1, connect_timeout=0.3))
        async with served(proxy) as url, httpx.AsyncClient() as http:
            first = asyncio.create_task(http.get(f"{url}/held"))
            await until(lambda: proxy._pool.busy == 1)
            refused = await http.get(url)
            assert (refused.status_code, refused.json()["code"]) == (503, "upstream-busy")
            assert refused.headers["retry-after"]
            proxy._pool._settings = ProxySettings(connections=1, connect_timeout=30)
            waiting = [asyncio.create_task(http.get(url)) for _ in range(5)]
            await until(lambda: len(proxy._pool._turns) == 5)
            waiting.pop().cancel()
            release.set()
            assert {answer.status_code for answer in await asyncio.gather(first, *waiting)} == {200}
            assert app.connections == 1


async def test_an_application_on_a_unix_socket_is_reached(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    server = uvicorn.Server(uvicorn.Config(told, uds=str(path), log_config=None))
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    async with proxied(f"unix:{path}") as url, httpx.AsyncClient() as http:
        assert (await http.get(f"{url}/x")).json()["target"] == "/x?"
    server.should_exit = True
    await task


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1, signed by itself, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "here")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return file


@pytest.fixture
async def over_tls(certificate: Path) -> AsyncGenerator[str]:
    async with served(told, ssl_certfile=str(certificate), ssl_keyfile=str(certificate)) as app:
        yield app.replace("http://127.0.0.1", "https://localhost")


async def test_an_application_over_tls_is_reached_only_with_its_certificate(
    over_tls: str, certificate: Path
) -> None:
    async with proxied(over_tls, ca_file=certificate) as url, httpx.AsyncClient() as http:
        assert (await http.get(url)).status_code == 200
        assert (await http.put(url, content=b"x" * 1_000_000)).json()["bytes"] == 1_000_000
    async with proxied(over_tls) as url, httpx.AsyncClient() as http:
        refused = await http.get(url)
        assert (refused.status_code, refused.json()["code"]) == (502, "upstream-unreachable")
    async with proxied(over_tls, verify=False) as url, httpx.AsyncClient() as http:
        assert (await http.get(url)).status_code == 200


async def test_a_certificate_for_another_name_is_not_enough(over_tls: str, certificate: Path) -> None:
    elsewhere = over_tls.replace("localhost", "127.0.0.1")
    async with proxied(elsewhere, ca_file=certificate) as url, httpx.AsyncClient() as http:
        assert (await http.get(url)).status_code == 502
    assert ssl.create_default_context().check_hostname


@pytest.mark.feature("X-23")
async def test_whether_the_application_is_well_is_known() -> None:
    def moody(said: Scripted) -> Speak:
        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            said.heard += head
            well = b"GET /base/health" in head and said.heard.count(b"GET") == 1
            writer.write(OK if well else b"HTTP/1.1 503 Ill\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()

        return speak

    async def health(address: str, **settings: Any) -> list[bool]:
        proxy = Proxy(address, ProxySettings(**settings))
        found = await asyncio.gather(*(proxy.healthy() for _ in range(20)))
        proxy._well = (0.0, False)
        found.append(await proxy.healthy())
        proxy.close()
        return found

    async with scripted(moody) as app:
        assert await health(f"{app.url}/base", health_path="/health") == [True] * 20 + [False]
        assert app.heard.count(b"GET") == 2  # twenty asked, one was sent
        assert await health(app.url) == [True] * 21
    assert await health(f"http://127.0.0.1:{free_port()}") == [False] * 21
