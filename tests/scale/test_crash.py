"""``kill -9`` under load: what was acknowledged is there, whole, and nothing else is."""

import asyncio
import json
import os
import random
import secrets
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine, text

from tests.journeys.apps import answering, free_port

HERE = Path(__file__).parent


class Server:
    """The application and its worker in one process, to be killed."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environ = {
            **os.environ,
            "BARTIZAN_DATABASE": database,
            "BARTIZAN_SECRET_KEY": secrets.token_urlsafe(32),
            "BARTIZAN_DATA_DIR": str(folder),
            "BARTIZAN_JOBS__LEASE": "2",
            "CRASH_RAN": str(folder / "ran.log"),
        }
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        log = self.folder / "server.log"
        with log.open("ab") as out:
            command = [sys.executable, str(HERE / "crash_app.py"), str(self.port)]
            self.process = subprocess.Popen(command, env=self.environ, stdout=out, stderr=out)  # noqa: ASYNC220
        await answering(f"{self.url}/_bartizan/health/ready", self.process, log)

    def kill(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def seed(self) -> dict[str, str]:
        command = [sys.executable, "-m", "bartizan", "demo", "--json"]
        done = subprocess.run(command, env=self.environ, capture_output=True, text=True, check=True)
        owner = next(p for p in json.loads(done.stdout)["people"] if p["role"] == "owner")
        return {"login": owner["email"], "password": owner["password"]}


async def load(server: Server, token: str, done: set[str], prefix: str) -> None:
    """Make things until the server dies; remember what it acknowledged."""
    async with httpx.AsyncClient(base_url=server.url, headers={"authorization": f"Bearer {token}"}) as http:
        for count in range(100_000):
            thing = f"{prefix}-{count}"
            try:
                answer = await http.post(f"/things/{thing}")
            except httpx.TransportError:
                return
            assert answer.status_code == 201, answer.text
            done.add(thing)


async def crash(folder: Path, database: str, kills: int) -> None:
    """Kill the server ``kills`` times under load, then compare the books."""
    server = Server(folder, database)
    credentials = server.seed()
    acknowledged: set[str] = set()
    for life in range(kills):
        await server.start()
        async with httpx.AsyncClient(base_url=server.url) as http:
            token = (await http.post("/_bartizan/api/v1/auth/login", json=credentials)).json()["access_token"]
        callers = [asyncio.create_task(load(server, token, acknowledged, f"{life}.{n}")) for n in range(4)]
        await asyncio.sleep(random.uniform(0.05, 0.6))
        server.kill()
        await asyncio.gather(*callers)
    await server.start()
    plain = database.replace("+asyncpg", "+psycopg") if "postgresql" in database else database
    books = Books(plain)
    for _ in range(150):
        if books.unfinished() == 0:
            break
        await asyncio.sleep(0.2)
    server.kill()
    events = books.events()
    assert acknowledged, "nothing was made at all"
    assert acknowledged <= events.keys(), "an acknowledged thing has no event"
    assert events == books.audited(), "an event and its audit row went apart"
    ran = Counter((folder / "ran.log").read_text().split())
    assert ran.keys() == events.keys(), "a job ran without its commit, or a commit without its job"
    assert max(events.values()) == 1


class Books:
    """What the database holds, read by another program."""

    def __init__(self, url: str) -> None:
        self.engine = create_engine(url)

    def unfinished(self) -> int:
        with self.engine.connect() as c:
            sql = "select count(*) from bz_jobs where kind = 'mark' and state in ('ready', 'leased')"
            return int(c.execute(text(sql)).scalar_one())

    def events(self) -> Counter[str]:
        return self._count("select data from bz_events where type = 'thing.made'")

    def audited(self) -> Counter[str]:
        with self.engine.connect() as c:
            rows = c.execute(text("select target_id from bz_audit_events where action = 'thing.made'"))
            return Counter(str(row[0]) for row in rows)

    def _count(self, sql: str) -> Counter[str]:
        with self.engine.connect() as c:
            found = (
                row[0] if isinstance(row[0], dict) else json.loads(row[0]) for row in c.execute(text(sql))
            )
            return Counter(str(data["thing"]) for data in found)


@pytest.mark.feature("AUD-12", "EVT-08", "X-13", "JOB-01", "JOB-04")
@pytest.mark.timeout(300)
async def test_a_killed_server_keeps_its_word(tmp_path: Path, database_url: str) -> None:
    await crash(tmp_path, database_url, kills=6)


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_a_server_killed_a_hundred_times_keeps_its_word(tmp_path: Path, database_url: str) -> None:
    await crash(tmp_path, database_url, kills=100)
