"""Several processes, one key: real servers on real sockets, some of which are killed."""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from bartizan.doors.testing import Cast, Person
from bartizan.house import Bartizan
from tests.harness.processes import answering, free_port, surroundings, words

from .conftest import keyed

ROOT = Path(__file__).parents[4]


class Replicas:
    """Servers of one shop, each a process of its own."""

    def __init__(self, folder: Path, database: str, secret: str) -> None:
        self.folder = folder
        self.ledger, self.hurry = folder / "ledger", folder / "hurry"
        self.environ = surroundings(
            BARTIZAN_DATABASE=database,
            BARTIZAN_SECRET_KEY=secret,
            BARTIZAN_ENVIRONMENT="test",
            BARTIZAN_BASE_URL="http://app.test",
            BARTIZAN_DATA_DIR=str(folder),
            BARTIZAN_EMBEDDED_WORKER="false",
            BARTIZAN_IDEMPOTENCY__LEASE="2",
            BARTIZAN_IDEMPOTENCY__WAIT="60",
            SHOP_LEDGER=str(self.ledger),
            SHOP_HURRY=str(self.hurry),
            PYTHONPATH=str(ROOT),
        )
        self.servers: list[subprocess.Popen[bytes]] = []

    async def server(self) -> str:
        port = free_port()
        log = self.folder / f"{port}.log"
        server = self._start(port, log)
        url = f"http://127.0.0.1:{port}"
        await answering(f"{url}/_bartizan/health/live", server, log)
        return url

    def _start(self, port: int, log: Path) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "uvicorn", "--factory", "--port", str(port), "--no-access-log",
                   "tests.rooms.access.test_idempotency.shop:create"]  # fmt: skip
        with log.open("ab") as out:
            server = subprocess.Popen(command, env=self.environ, cwd=ROOT, stdout=out, stderr=out)
        self.servers.append(server)
        return server

    async def orders(self, most: int = 1, *, of: "Sequence[asyncio.Task[Any]]" = ()) -> list[tuple[int, str]]:
        """Wait for so many orders; give the process and the words of each."""
        async with asyncio.timeout(60):
            while True:
                text = self.ledger.read_text() if self.ledger.exists() else ""
                lines = [line.split(" ", 1) for line in text.splitlines()]
                if len(lines) >= most:
                    return [(int(process), said) for process, said in lines]
                assert not [task.result() for task in of if task.done()]
                await asyncio.sleep(0.02)

    def close(self) -> None:
        for server in self.servers:
            with suppress(ProcessLookupError):
                server.kill()
            server.wait()


@pytest.fixture
async def ada(bz: Bartizan) -> Person:
    cast = Cast(bz)
    return await cast.person(await cast.organization(), "admin", "ada")


@pytest.fixture
async def replicas(
    tmp_path: Path, database_url: str, bartizan_settings: dict[str, Any]
) -> AsyncGenerator[Replicas]:
    replicas = Replicas(tmp_path, database_url, bartizan_settings["secret_key"])
    yield replicas
    replicas.close()


def client(url: str, person: Person) -> httpx.AsyncClient:
    bearer = {"authorization": f"Bearer {person.access_token}"}
    return httpx.AsyncClient(base_url=url, headers=bearer, timeout=90)


@pytest.mark.feature("RATE-07")
@pytest.mark.timeout(300)
async def test_requests_to_several_replicas_run_once(replicas: Replicas, ada: Person) -> None:
    urls = await asyncio.gather(replicas.server(), replicas.server())
    keys = [secrets.token_hex(8) for _ in range(3)]
    async with client(urls[0], ada) as one, client(urls[1], ada) as two:
        asked = [
            asyncio.create_task(http.post("/order", content=key.encode(), headers=keyed(key)))
            for key in keys
            for http in (one, two) * 3
        ]
        ran = await replicas.orders(len(keys), of=asked)
        replicas.hurry.touch()
        answers = await asyncio.gather(*asked)
        again = [await http.post("/order", content=keys[0].encode(), headers=keyed(keys[0]))
                 for http in (one, two)]  # fmt: skip
    assert sorted(said for _, said in await replicas.orders()) == sorted(keys)
    assert len(ran) == len(keys)
    for number, key in enumerate(keys):
        same = answers[number * 6 : number * 6 + 6]
        assert {answer.status_code for answer in same} == {201}
        assert len({answer.content for answer in same}) == 1, key
        assert sorted("idempotency-replayed" in answer.headers for answer in same) == [False, *[True] * 5]
    assert {answer.content for answer in again} == {answers[0].content}


@pytest.mark.feature("RATE-07")
@pytest.mark.timeout(300)
async def test_what_a_killed_process_left_runs_again_and_once(replicas: Replicas, ada: Person) -> None:
    victim, survivor = await replicas.server(), await replicas.server()
    async with client(victim, ada) as one, client(survivor, ada) as two:
        lost = asyncio.create_task(one.post("/order", content=b"tea", headers=keyed("k1")))
        [(process, _)] = await replicas.orders(of=[lost])
        os.kill(process, signal.SIGKILL)
        with pytest.raises(httpx.TransportError):
            await lost
        changed = await two.post("/order", content=b"coffee", headers=keyed("k1"))
        replicas.hurry.touch()
        retries = await asyncio.gather(
            *(two.post("/order", content=b"tea", headers=keyed("k1")) for _ in range(4))
        )
    assert changed.status_code == 409
    assert {answer.status_code for answer in retries} == {201}, words(next(replicas.folder.glob("*.log")))
    assert len({answer.content for answer in retries}) == 1
    ran = await replicas.orders(2)
    assert len(ran) == 2
    assert ran[1][0] != process
