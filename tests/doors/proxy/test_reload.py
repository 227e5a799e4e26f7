"""The command itself: what it refuses to guard, and that no request is lost when it is replaced."""

import asyncio
import json
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.doors.proxy.upstreams import until
from tests.doors.served import served
from tests.harness.processes import answering, free_port, surroundings


@dataclass(frozen=True)
class Running:
    """The gate in a process of its own."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path
    bearer: dict[str, str]

    def logged(self, words: str, times: int = 1) -> Callable[[], bool]:
        """Tell whether the log says so."""
        return lambda: self.log.read_text().count(words) >= times


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "bartizan", *args]


@asynccontextmanager
async def guarding(folder: Path, upstream: str) -> AsyncGenerator[Running]:
    """Run ``bartizan guard --upstream`` with a demo member who may come in."""
    environ = surroundings(BARTIZAN_SECRET_KEY=secrets.token_urlsafe(48), NO_COLOR="1")
    made = subprocess.run(  # noqa: ASYNC221 - nothing else runs yet
        command("demo", "--json"), cwd=folder, env=environ, capture_output=True, check=True, timeout=100
    )
    member = next(person for person in json.loads(made.stdout)["people"] if person["role"] == "member")
    port, log = free_port(), folder / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: ASYNC220 - it outlives this coroutine's awaits
            command("guard", "--upstream", upstream, "--port", str(port)),
            cwd=folder,
            env=environ,
            stdout=out,
            stderr=out,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        await answering(f"{url}/_bartizan/health/ready", process, log)
        async with httpx.AsyncClient(base_url=url) as http:
            login = {"login": member["email"], "password": member["password"]}
            answer = await http.post("/_bartizan/api/v1/auth/login", json=login, timeout=60)
        yield Running(url, process, log, {"authorization": f"Bearer {answer.json()['access_token']}"})
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 60)


async def drip(scope: Any, receive: Any, send: Any) -> None:
    """Answer at once, or below /slow when the caller has sent its body."""
    if scope["path"] == "/slow":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun ", "more_body": True})
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.body", "body": b"finished"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


class Slow:
    """A request that takes as long as a test wants: its body ends when it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def begin(cls, gate: Running) -> "Slow":
        """Send half of it, and read until the application has begun to answer."""
        slow = cls(*await asyncio.open_connection("127.0.0.1", int(gate.url.rsplit(":", 1)[1])))
        bearer = gate.bearer["authorization"]
        head = f"POST /slow HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nauthorization: {bearer}"
        slow._writer.write(f"{head}\r\n\r\nx".encode())
        async with asyncio.timeout(60):
            await slow._reader.readuntil(b"begun \r\n")
        return slow

    async def finish(self) -> bytes:
        """Send the rest; give what is heard then."""
        self._writer.write(b"y")
        async with asyncio.timeout(60):
            heard = await self._reader.read()
        self._writer.close()
        return heard


@pytest.mark.feature("X-23", "OPS-10")
@pytest.mark.timeout(240)
async def test_a_reload_loses_no_request(tmp_path: Path) -> None:
    async with served(drip, lifespan="off") as upstream, guarding(tmp_path, upstream) as gate:
        slow = await Slow.begin(gate)
        answered: list[int] = []
        over = asyncio.Event()

        async def ask() -> None:
            limits = httpx.Limits(max_keepalive_connections=0)  # a new connection for each request
            async with httpx.AsyncClient(
                base_url=gate.url, headers=gate.bearer, limits=limits, timeout=100
            ) as http:
                while not over.is_set():
                    answered.append((await http.get("/", headers={"connection": "close"})).status_code)

        asking = [asyncio.create_task(ask()) for _ in range(3)]
        for reload in (1, 2):
            gate.process.send_signal(signal.SIGHUP)
            if reload == 1:
                # The first process hands over and finishes what it has begun; then it waits for the second.
                await until(gate.logged("reload.handed_over"), 100)
                assert b"finished\r\n0\r\n" in await slow.finish()
            else:
                await until(gate.logged("Bartizan 0.", 3), 100)
            enough = len(answered) + 50
            while len(answered) < enough:  # noqa: ASYNC110 - whoever asks is busy asking
                await asyncio.sleep(0.05)
        over.set()
        await asyncio.gather(*asking)
        assert set(answered) == {200}
        assert gate.process.poll() is None


@pytest.mark.feature("X-23", "OPS-10")
@pytest.mark.timeout(240)
async def test_a_successor_that_cannot_start_changes_nothing(tmp_path: Path) -> None:
    async with served(drip, lifespan="off") as upstream, guarding(tmp_path, upstream) as gate:
        (tmp_path / ".env").write_text("BARTIZAN_GUARD__MAX_BODY=nonsense\n")
        gate.process.send_signal(signal.SIGHUP)
        await until(gate.logged("reload.failed"), 100)
        async with httpx.AsyncClient(base_url=gate.url, headers=gate.bearer, timeout=60) as http:
            assert (await http.get("/")).text == "ok"


@pytest.mark.feature("X-23", "OPS-10")
@pytest.mark.timeout(240)
async def test_a_stream_that_runs_is_finished_before_the_gate_stops(tmp_path: Path) -> None:
    async with served(drip, lifespan="off") as upstream, guarding(tmp_path, upstream) as gate:
        slow = await Slow.begin(gate)
        gate.process.send_signal(signal.SIGTERM)

        async def refused() -> bool:
            try:
                async with httpx.AsyncClient() as http:
                    await http.get(gate.url)
            except httpx.TransportError:
                return True
            return False

        async with asyncio.timeout(60):
            while not await refused():  # noqa: ASYNC110 - the other process sets no event here
                await asyncio.sleep(0.05)
        assert b"finished\r\n0\r\n" in await slow.finish()
        assert await asyncio.to_thread(gate.process.wait, 60) == 0


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "Nothing to guard"),
        (("host:app", "--upstream", "http://a"), "not both"),
        (("--upstream", "localhost:5000"), "begins with"),
        (("--upstream", "http://me:hunter2@a"), "a password"),
        (("--upstream", "http://localhost:8000"), "itself listens"),
        (("--upstream", "http://127.0.0.1:8123", "--port", "8123"), "itself listens"),
    ],
)
def test_what_cannot_be_guarded_is_explained(tmp_path: Path, args: tuple[str, ...], words: str) -> None:
    done = subprocess.run(
        command("guard", *args),
        cwd=tmp_path,
        env=surroundings(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert "hunter2" not in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    async with served(drip, lifespan="off") as upstream:
        port = upstream.rsplit(":", 1)[1]
        done = await asyncio.to_thread(
            subprocess.run,
            command("guard", "--upstream", "http://127.0.0.1:1", "--port", port),
            cwd=tmp_path,
            env=surroundings(),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 5
    assert f"port {port}" in done.stderr
    assert "Traceback" not in done.stderr
