"""Questions to other servers: each is answered by a real small one, refused, or left alone."""

import asyncio
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from bartizan.doors.frameworks import alone, host_of, routes_of
from bartizan.doors.health import Case, Finding, examine, machine, probes
from bartizan.doors.health.standing import catalogue, standing
from bartizan.doors.testing import Cast
from bartizan.foundation.capability import Check, Verdict
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.errors import Conflict
from bartizan.house import Bartizan
from tests.harness.processes import free_port


async def look(house: Bartizan, *codes: str, folder: Path = Path()) -> list[Finding]:
    case = Case(folder=folder, settings=house.settings, house=house)
    stands = ["settings", "house", "database", "tables"]
    report = await examine([(c, s) for c, s in standing(case) if c.code in codes], standing=stands)
    return report.findings


@asynccontextmanager
async def redis_like(password: str = "") -> AsyncGenerator[str]:
    """Serve what a Redis says to a greeting."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            words = []
            for _ in range(int(line[1:])):
                await reader.readline()
                words.append((await reader.readline()).decode().strip())
            answer = "+PONG"
            if words[0] == "AUTH":
                answer = "+OK" if words[-1] == password else "-WRONGPASS invalid username-password pair"
            if words[0] == "INFO":
                info = "# Server\r\nredis_version:7.4.1\r\n"
                answer = f"${len(info)}\r\n{info}"
            writer.write(f"{answer}\r\n".encode())
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


@pytest.fixture
def database_url(sqlite_template: Path, tmp_path: Path) -> str:
    (tmp_path / "bartizan.db").write_bytes(sqlite_template.read_bytes())
    return f"sqlite:///{tmp_path}/bartizan.db"


@pytest.mark.feature("X-30")
async def test_redis_is_asked_when_one_is_named(bartizan_settings: dict[str, Any]) -> None:
    async with redis_like("open sesame") as address:
        for url, state, words in (
            (f"redis://:open%20sesame@{address}/0", "ok", "Redis 7.4.1 answers"),
            (f"redis://:wrong@{address}/0", "problem", "WRONGPASS"),
            (f"redis://127.0.0.1:{free_port()}/0", "problem", "nobody listens there"),
        ):
            house = Bartizan({**bartizan_settings, "redis": url})
            [found] = await look(house, "redis.answers")
            assert (found.state, words in found.what) == (state, True), found
            assert "wrong" not in found.what.replace("WRONGPASS", "")
            await house.stop()


@pytest.mark.feature("X-30", "MAIL-01")
async def test_the_mail_server_is_greeted_and_nothing_is_sent(bartizan_settings: dict[str, Any]) -> None:
    port = free_port()
    post = Controller(Sink(), hostname="127.0.0.1", port=port)
    post.start()
    try:
        for more, state, words in (
            ({"port": port, "tls": "none"}, "ok", "takes mail"),
            ({"port": port, "tls": "starttls"}, "problem", "STARTTLS"),
            ({"port": free_port(), "tls": "none"}, "problem", "nobody listens"),
            ({"port": port, "tls": "none", "username": "u", "password": "p"}, "problem", "takes no mail"),
        ):
            email = {"backend": "smtp", "host": "127.0.0.1", "sender": "a@acme.example", **more}
            house = Bartizan({**bartizan_settings, "email": email})
            [found] = await look(house, "mail.smtp")
            assert found.state == state, found
            assert words.lower() in found.what.lower(), found
            await house.stop()
    finally:
        post.stop()


@pytest.mark.feature("X-30")
async def test_what_answers_at_the_base_url_is_judged(bartizan_settings: dict[str, Any]) -> None:
    port = free_port()
    settings = {**bartizan_settings, "base_url": f"http://127.0.0.1:{port}"}
    house = Bartizan(settings)
    assert (await look(house, "web.answers"))[0].state == "unknown"
    for app, state, words in (
        (alone(settings), "ok", "answers that it is ready"),
        (
            Starlette(routes=[Route("/{x:path}", lambda _r: PlainTextResponse("hello"))]),
            "problem",
            "Something else",
        ),
    ):
        async with served_at(app, port):
            [found] = await look(house, "web.answers")
            assert (found.state, words in found.what) == (state, True), found
    await house.stop()


@asynccontextmanager
async def served_at(app: Any, port: int) -> AsyncGenerator[None]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None))
    task = asyncio.create_task(server.serve())
    while not server.started:
        assert not task.done()
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        await task


def _txt(number: int, *texts: str, code: int = 0) -> bytes:
    name = b"\x04acme\x07example\x00"
    head = struct.pack("!6H", number, 0x8180 | code, 1, len(texts), 0, 0)
    body = head + name + struct.pack("!2H", 16, 1)
    for text in texts:
        data = bytes([len(text)]) + text.encode()
        body += b"\xc0\x0c" + struct.pack("!2HIH", 16, 1, 60, len(data)) + data
    return body


def test_answers_of_name_servers_are_read_and_garbage_is_no_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert probes._read(_txt(7, "v=spf1 -all", "else"), 7) == ["v=spf1 -all", "else"]
    assert probes._read(_txt(7, code=3), 7) == []
    assert probes._read(_txt(7, code=2), 7) is None
    assert probes._read(_txt(8, "x"), 7) is None
    monkeypatch.setattr(probes, "RESOLVER", tmp_path / "none")
    assert probes.texts("acme.example") is None
    (tmp_path / "none").write_text("# nothing\nnameserver 127.0.0.1\n")
    assert probes.texts("acme.example", patience=0.2) is None


@pytest.mark.parametrize(
    ("own", "policy", "keys", "states", "words"),
    [
        (None, None, None, ["unknown"], "no DNS from here"),
        (["v=spf1 -all"], ["v=DMARC1; p=none"], ["v=DKIM1; p=abc"], ["ok"], "vouches"),
        ([], [], [], ["unknown", "warning", "warning"], "_dmarc.acme.example. TXT"),
    ],
)
@pytest.mark.feature("X-30")
async def test_the_senders_domain_is_asked_to_vouch(  # noqa: PLR0917
    bartizan_settings: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    own: Any,
    policy: Any,
    keys: Any,
    states: list[str],
    words: str,
) -> None:
    def texts(name: str) -> Any:
        return keys if "_domainkey" in name else policy if name.startswith("_dmarc") else own

    monkeypatch.setattr("bartizan.doors.health.mail.texts", texts)
    email = {"backend": "smtp", "host": "127.0.0.1", "sender": "a@acme.example"}
    house = Bartizan({**bartizan_settings, "email": email})
    found = await look(house, "mail.dns")
    assert sorted(one.state for one in found) == states
    assert any(words in one.what + one.fix for one in found)
    await house.stop()


@pytest.mark.feature("X-30")
async def test_clocks_that_differ_and_people_behind_one_proxy_are_noticed(
    bartizan_settings: dict[str, Any],
) -> None:
    house = Bartizan(
        {**bartizan_settings, "base_url": "http://app.example.com"},
        clock=ManualClock(datetime.now(UTC) + timedelta(minutes=3)),
    )
    await house.start(embedded=False)
    [clock] = await look(house, "database.clock")
    assert (clock.state, "behind of this one" in clock.what) == ("problem", True), clock
    [seen] = await look(house, "web.forwarded")
    assert seen.state == "unknown"
    await house.stop()


async def test_a_check_of_ones_own_is_looked_at_and_one_that_falls_over_harms_no_other(
    bz: Bartizan,
) -> None:
    async def busy(_house: Bartizan) -> Verdict:
        message = "somebody else is at it"
        raise Conflict(message)

    def broken(_house: Bartizan) -> Verdict:
        message = "oh"
        raise ZeroDivisionError(message)

    looks: list[tuple[str, Callable[[Any], Any]]] = [
        ("own.fine", lambda _house: Verdict.ok("fine")),
        ("own.busy", busy),
        ("own.broken", broken),
    ]
    bz.checks += [Check(code=code, group="Own", asks="x", why="y", look=take) for code, take in looks]
    case = Case(folder=Path(), settings=bz.settings, house=bz)
    report = await examine(
        [pair for pair in standing(case) if pair[0].group == "Own"], standing=["settings", "tables"]
    )
    assert [(f.state, f.crashed) for f in report.findings] == [
        ("ok", False), ("unknown", False), ("unknown", True),
    ]  # fmt: skip
    assert report.exit_code() == 2
    assert "ZeroDivisionError" in report.findings[2].what
    assert "own.fine" in {check.code for check in catalogue(bz)}


async def test_an_operator_is_missed_until_there_is_one(bz: Bartizan, cast: Cast) -> None:
    [found] = await look(bz, "identity.operator")
    assert (found.state, found.fix) == ("warning", "bartizan owner link")


def test_file_systems_of_other_machines_are_told_apart(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/x {tmp_path} nfs4 rw 0 0\n")
    assert machine.file_system(tmp_path / "deep" / "file.db", mounts) == "nfs4"
    assert machine.is_remote("nfs4")
    assert machine.file_system(Path("/etc"), mounts) == "ext4"
    assert not machine.is_remote("ext4")
    assert machine.file_system(tmp_path, tmp_path / "none") == ""
    assert machine.sqlite_file("sqlite:////var/x.db?mode=rw") == Path("/var/x.db")
    assert machine.sqlite_file("sqlite://") is None
    assert machine.sqlite_file("postgresql://h/x") is None


async def test_a_database_on_a_network_file_system_is_warned_of(
    bartizan_settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"server:/x {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr(machine, "MOUNTS", mounts)
    house = Bartizan(bartizan_settings)
    case = Case(folder=tmp_path, settings=house.settings)
    report = await examine([(check, case) for check in machine.MACHINE if check.code == "storage.sqlite"])
    assert "network file system (nfs4)" in report.findings[0].what
    await house.stop()


def test_routes_inside_mounts_and_included_routers_are_listed() -> None:
    inner = Starlette(routes=[Route("/deep", lambda _r: PlainTextResponse(""), methods=["POST"])])
    app = Starlette(routes=[Mount("/in", app=inner), Mount("/other", app=lambda _s, _r, _w: None)])  # type: ignore[arg-type,return-value]
    assert {(r.path, r.kind) for r in routes_of(host_of(app))} == {("/in/deep", "http"), ("/other", "mount")}
