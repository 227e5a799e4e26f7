"""``kill -9`` under load: what was acknowledged is there, whole, and nothing else is."""

import asyncio
import json
import random
import secrets
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.harness.books import read
from tests.harness.processes import answering, free_port, surroundings

HERE = Path(__file__).parent
UNFINISHED = "select count(*) from bz_jobs where kind = 'mark' and state in ('waiting', 'ready', 'leased')"
COUNTS = "select state, count(*) from bz_jobs where kind = 'mark' group by state"
EVENTS = "select data from bz_events where type = 'thing.made'"
AUDITED = "select target_id from bz_audit_events where action = 'thing.made'"
SEQUENCES = "select stream, count(*), max(sequence) from bz_events group by stream"


class Program:
    """A process of ours, to be killed."""

    def __init__(self, command: list[str], environ: dict[str, str], log: Path) -> None:
        with log.open("ab") as out:
            self._process = subprocess.Popen(command, env=environ, cwd=HERE, stdout=out, stderr=out)

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        return self._process

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


class Site:
    """An installation: a server, perhaps a worker beside it, and what they share."""

    def __init__(self, folder: Path, database: str, *, embedded: bool) -> None:
        self.folder = folder
        self.log = folder / "server.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environ = surroundings(
            BARTIZAN_DATABASE=database,
            BARTIZAN_SECRET_KEY=secrets.token_urlsafe(32),
            BARTIZAN_DATA_DIR=str(folder),
            BARTIZAN_EMBEDDED_WORKER=str(embedded).lower(),
            BARTIZAN_JOBS__LEASE="2",
            CRASH_RAN=str(folder / "ran.log"),
        )

    async def server(self) -> Program:
        program = Program(
            [sys.executable, str(HERE / "crash_app.py"), str(self.port)], self.environ, self.log
        )
        await answering(f"{self.url}/_bartizan/health/ready", program.process, self.log)
        return program

    def worker(self) -> Program:
        command = [sys.executable, "-m", "bartizan", "worker", "crash_app:create", "--factory"]
        return Program(command, self.environ, self.log)

    def seed(self) -> dict[str, str]:
        command = [sys.executable, "-m", "bartizan", "demo", "--json"]
        done = subprocess.run(
            command, env=self.environ, cwd=self.folder, capture_output=True, text=True, check=True
        )
        owner = next(p for p in json.loads(done.stdout)["people"] if p["role"] == "owner")
        return {"login": owner["email"], "password": owner["password"]}

    def ran(self) -> Counter[str]:
        path = self.folder / "ran.log"
        return Counter(path.read_text().split() if path.exists() else ())


async def load(site: Site, token: str, done: set[str], prefix: str) -> None:
    """Make things until the server dies; remember what it acknowledged."""
    async with httpx.AsyncClient(base_url=site.url, headers={"authorization": f"Bearer {token}"}) as http:
        for count in range(100_000):
            thing = f"{prefix}-{count}"
            try:
                answer = await http.post(f"/things/{thing}")
            except httpx.TransportError:
                return
            assert answer.status_code == 201, answer.text
            done.add(thing)


@contextmanager
def loading(site: Site, token: str, done: set[str], prefix: str) -> Iterator[list["asyncio.Task[None]"]]:
    tasks = [asyncio.create_task(load(site, token, done, f"{prefix}.{n}")) for n in range(4)]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()


async def sign_in(site: Site, credentials: dict[str, str]) -> str:
    async with httpx.AsyncClient(base_url=site.url, timeout=30) as http:
        answer = await http.post("/_bartizan/api/v1/auth/login", json=credentials)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])


async def kill_servers(site: Site, books: "Books", kills: int) -> set[str]:
    """Kill the server, worker and all, ``kills`` times under load; give what it acknowledged."""
    credentials = site.seed()
    acknowledged: set[str] = set()
    for life in range(kills):
        server = await site.server()
        token = await sign_in(site, credentials)
        with loading(site, token, acknowledged, str(life)) as callers:
            before = len(acknowledged)
            async with asyncio.timeout(60):
                while len(acknowledged) == before:  # noqa: ASYNC110 - killed while it works, not while it warms up
                    await asyncio.sleep(0.02)
            await asyncio.sleep(random.uniform(0.05, 0.6))
            server.kill()
            await asyncio.gather(*callers)
    server = await site.server()
    await books.settled()
    server.kill()
    return acknowledged


async def kill_workers(site: Site, books: "Books", kills: int) -> set[str]:
    """Kill the worker beside a server that lives on; give what the server acknowledged."""
    credentials = site.seed()
    acknowledged: set[str] = set()
    server = await site.server()
    token = await sign_in(site, credentials)
    try:
        with loading(site, token, acknowledged, "w"):
            for life in range(kills):
                worker = site.worker()
                before = len(site.ran())
                async with asyncio.timeout(60):
                    while len(site.ran()) <= before:  # noqa: ASYNC110 - the worker is another process
                        await asyncio.sleep(0.05)
                await asyncio.sleep(random.uniform(0, 0.3))
                worker.kill()
                assert life or acknowledged
        worker = site.worker()
        await books.settled()
        worker.process.terminate()
        assert worker.process.wait(30) == 0, site.log.read_text()
    finally:
        server.kill()
    return acknowledged


class Books:
    """What the database holds, read by another program."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return await read(self.url, sql)

    async def settled(self) -> None:
        """Wait until every job was done."""
        async with asyncio.timeout(120):
            while (await self.ask(UNFINISHED))[0][0]:  # noqa: ASYNC110 - so are the workers
                await asyncio.sleep(0.2)

    async def balance(self, acknowledged: set[str], ran: Counter[str]) -> None:
        """Compare what was acknowledged, what was announced, what was audited, and what was done."""
        events = Counter(
            str((json.loads(data) if isinstance(data, str) else data)["thing"])
            for (data,) in await self.ask(EVENTS)
        )
        audited = Counter(str(target) for (target,) in await self.ask(AUDITED))
        assert acknowledged, "nothing was made at all"
        assert acknowledged <= events.keys(), "an acknowledged thing has no event"
        assert set(events.values()) == {1}, "a thing was announced twice"
        assert events == audited, "an event and its audit row went apart"
        assert ran.keys() == events.keys(), "a job ran without its commit, or a commit without its job"
        assert dict(await self.ask(COUNTS)) in ({}, {"done": len(events)}), "a job was given up"
        for stream, count, highest in await self.ask(SEQUENCES):
            assert count == highest, f"{stream} has a gap"


@pytest.mark.feature("AUD-12", "EVT-08", "X-13", "JOB-01", "JOB-04")
@pytest.mark.timeout(300)
async def test_a_killed_server_keeps_its_word(tmp_path: Path, database_url: str) -> None:
    site, books = Site(tmp_path, database_url, embedded=True), Books(database_url)
    await books.balance(await kill_servers(site, books, kills=6), site.ran())


@pytest.mark.feature("JOB-04", "EVT-08", "X-13")
@pytest.mark.timeout(300)
async def test_what_a_killed_worker_left_is_done_by_the_next(tmp_path: Path, database_url: str) -> None:
    site, books = Site(tmp_path, database_url, embedded=False), Books(database_url)
    await books.balance(await kill_workers(site, books, kills=4), site.ran())


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_a_server_killed_a_hundred_times_keeps_its_word(tmp_path: Path, database_url: str) -> None:
    site, books = Site(tmp_path, database_url, embedded=True), Books(database_url)
    await books.balance(await kill_servers(site, books, kills=100), site.ran())


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_a_worker_killed_a_hundred_times_leaves_nothing(tmp_path: Path, database_url: str) -> None:
    site, books = Site(tmp_path, database_url, embedded=False), Books(database_url)
    await books.balance(await kill_workers(site, books, kills=100), site.ran())
