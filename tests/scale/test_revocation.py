"""What one process takes away is gone in the others: houses whose memory never ages, and real processes."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from bartizan.access.api_keys import NewApiKey
from bartizan.backbone.jobs import Worker
from bartizan.doors.frameworks import Wrapped
from bartizan.doors.testing import Cast, Person, program
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller, current
from bartizan.house import Bartizan
from tests.doors.hosts import echo
from tests.harness.databases import PostgreSQL  # noqa: TC001 - imported for the annotation of a fixture
from tests.harness.processes import answering, free_port, surroundings

ROOT = Path(__file__).parents[2]
API = "/_bartizan/api/v1"
MOST = 5.0
Status = Callable[[], Awaitable[int]]


async def until_status(status: Status, wanted: set[int]) -> float:
    """Wait for an answer; give the seconds that it took."""
    began = time.monotonic()
    async with asyncio.timeout(60):
        while await status() not in wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return time.monotonic() - began


class Two:
    """Two houses on one database. The clock of the second stands still: it forgets only when told."""

    def __init__(self, settings: dict[str, Any]) -> None:
        quick = {**settings, "database_options": {"look_for_news": 0.2}}
        self.one = Wrapped(echo(), Bartizan(quick))
        self.two = Wrapped(echo(), Bartizan(quick, clock=ManualClock()))
        self.cast = Cast(self.one.bz)

    async def key(self, person: Person) -> tuple[str, str]:
        caller = Caller(
            id=person.id, kind="user", org_id=person.org_id, user_id=person.id,
            permissions=self.one.bz.rbac.names(),
        )  # fmt: skip
        with current.acting_as(caller):
            made = await self.one.bz.api_keys.issue(NewApiKey(name="ci", scopes=["app:read"]))
        return made.id, made.secret


@pytest.fixture
async def houses(bartizan_settings: dict[str, Any]) -> AsyncGenerator[Two]:
    two = Two(bartizan_settings)
    await two.one.bz.start(embedded=False)
    await two.two.bz.start(embedded=False)
    yield two
    await two.one.bz.stop()
    await two.two.bz.stop()


async def look(http: httpx.AsyncClient) -> int:
    return (await http.get("/things")).status_code


async def change_thing(http: httpx.AsyncClient) -> int:
    return (await http.post("/things")).status_code


@pytest.mark.feature("ID-06")
@pytest.mark.parametrize("bus", ["bus", "table"])
async def test_another_house_forgets_whom_it_let_in(houses: Two, bus: str) -> None:
    if bus == "table":
        houses.one.bz.wakeups._bus = None
    ada = await houses.cast.person(await houses.cast.organization(), "owner", "ada")
    bob = await houses.cast.person(ada.org_id, "member", "bob")
    eve = await houses.cast.person(ada.org_id, "member", "eve")
    key_id, secret = await houses.key(ada)
    people, here = houses.one.bz, houses.one
    async with (
        program(houses.two, ada) as hers, program(houses.two, bob) as his, program(houses.two, eve) as eves,
        program(houses.two, ada, authorization=f"Bearer {secret}") as machine, program(here, ada) as owner,
    ):  # fmt: skip
        assert [await look(http) for http in (hers, his, eves, machine)] == [200] * 4
        assert await change_thing(his) == 200
        answer = await owner.put(f"{API}/rbac/members/{bob.id}/roles", json={"roles": ["viewer"]})
        assert answer.status_code == 200, answer.text
        await until_status(lambda: change_thing(his), {403})
        with current.as_system():
            await people.identity.deactivate(eve.id)
        await until_status(lambda: look(eves), {401})
        assert (await owner.delete(f"{API}/api-keys/{key_id}")).status_code in {200, 204}
        await until_status(lambda: look(machine), {401})
        assert (await owner.post(f"{API}/auth/logout")).status_code in {200, 204}
        await until_status(lambda: look(hers), {401})


async def test_signing_in_tells_nobody(houses: Two) -> None:
    org_id = await houses.cast.organization()
    ada = await houses.cast.person(org_id, "member", "ada")
    wakeups = houses.one.bz.wakeups
    async with asyncio.timeout(30):
        while wakeups._pending:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await houses.cast.sign_in(ada.id, org_id)
    assert wakeups._pending == {}


@pytest.mark.feature("JOB-01")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_job_of_another_process_begins_at_once(bartizan_settings: dict[str, Any]) -> None:
    """The worker looks once a minute, so what begins begins because it was told."""
    slow = {**bartizan_settings, "jobs": {"poll": 60.0, "lease": 3600.0}}
    here, there = Bartizan(slow), Bartizan(slow)
    done = asyncio.Event()

    async def work(_payload: dict[str, Any], _job: object) -> None:
        done.set()

    there.jobs.handler("ring", work)
    await here.start(embedded=False)
    await there.start(embedded=False)
    worker = Worker(there.jobs)
    task = asyncio.create_task(worker.run())
    try:
        async with asyncio.timeout(30):
            while not (there.wakeups.connected and here.wakeups.connected):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        worker._upkeep_at = asyncio.get_running_loop().time() + 3600
        here_told: list[int] = []
        here.jobs.wakers.add(lambda: here_told.append(1))
        await here.jobs.enqueue("ring", org_id=None)
        await asyncio.wait_for(done.wait(), 40)
        assert here_told == [1], "what comes back is not told again"
    finally:
        worker.stop()
        await task
        await here.stop()
        await there.stop()


class Replica:
    """A server in a process of its own."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / f"{self.port}.log"
        environ = surroundings(
            BARTIZAN_DATABASE=settings["database"],
            BARTIZAN_SECRET_KEY=settings["secret_key"],
            BARTIZAN_BASE_URL=settings["base_url"],
            BARTIZAN_ENVIRONMENT="test",
            BARTIZAN_DATA_DIR=str(folder),
            BARTIZAN_EMBEDDED_WORKER="false",
            PYTHONPATH=str(ROOT),
        )
        command = [sys.executable, "-m", "uvicorn", "--factory", "--port", str(self.port), "--no-access-log",
                   "tests.scale.replica_app:create"]  # fmt: skip
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(command, env=environ, cwd=ROOT, stdout=out, stderr=out)

    async def ready(self) -> None:
        await answering(f"{self.url}/_bartizan/health/live", self._process, self._log)

    def client(self, bearer: str) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {bearer}"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30)

    def socket(self, bearer: str) -> connect:
        headers = {"authorization": f"Bearer {bearer}"}
        return connect(f"ws://127.0.0.1:{self.port}/talk", additional_headers=headers)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
async def replicas(
    bz: Bartizan, tmp_path: Path, bartizan_settings: dict[str, Any]
) -> AsyncGenerator[tuple[Replica, Replica]]:
    one, two = Replica(tmp_path, bartizan_settings), Replica(tmp_path, bartizan_settings)
    try:
        await asyncio.gather(one.ready(), two.ready())
        yield one, two
    finally:
        one.close()
        two.close()


@pytest.mark.feature("ID-06", "X-05")
@pytest.mark.timeout(300)
async def test_five_seconds_are_enough_between_processes(
    bz: Bartizan,
    cast: Cast,
    replicas: tuple[Replica, Replica],
    database_url: str,
    request: pytest.FixtureRequest,
) -> None:
    """Signing out, deactivation, a lesser role and a revoked key, with the bus and while it is cut."""
    one, two = replicas
    ada = await cast.person(await cast.organization(), "owner", "ada")
    felt: dict[str, list[float]] = {"told": [], "cut": []}

    async def take_away(how: str, status: Status, refusal: int, change: Callable[[], Awaitable[Any]]) -> None:
        assert await status() == 200, "it is remembered now"
        if how == "cut":
            place: PostgreSQL = request.getfixturevalue("postgresql")
            await asyncio.to_thread(place.cut, database_url.rpartition("/")[2])
        await change()
        felt[how].append(await until_status(status, {refusal}))

    async def round_of(how: str) -> None:
        bob, eve, fay = [await cast.person(ada.org_id, "member", name) for name in ("bob", "eve", "fay")]
        async with (
            one.client(ada.access_token) as owner, one.client(fay.access_token) as fay_here,
            two.client(bob.access_token) as his, two.client(eve.access_token) as eves,
            two.client(fay.access_token) as fays, two.socket(fay.access_token) as talk,
        ):  # fmt: skip
            made = await owner.post(f"{API}/api-keys", json={"name": "ci", "scopes": ["app:read"]})
            key_id, secret = made.json()["id"], made.json()["secret"]

            async def deactivate() -> None:
                with current.as_system():
                    await bz.identity.deactivate(eve.id)

            async with two.client(secret) as machine:
                roles = f"{API}/rbac/members/{bob.id}/roles"
                await take_away(how, lambda: change_thing(his), 403,
                                lambda: done(owner.put(roles, json={"roles": ["viewer"]})))  # fmt: skip
                await take_away(how, lambda: look(eves), 401, deactivate)
                await take_away(how, lambda: look(machine), 401,
                                lambda: done(owner.delete(f"{API}/api-keys/{key_id}")))  # fmt: skip
            await talk.send("hello")
            assert "hello" in await talk.recv()
            began = time.monotonic()
            await take_away(how, lambda: look(fays), 401, lambda: done(fay_here.post(f"{API}/auth/logout")))
            with pytest.raises(ConnectionClosed) as closed:
                await asyncio.wait_for(talk.recv(), 30)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4401
            felt[how].append(time.monotonic() - began)

    for _ in range(2):
        await round_of("told")
    if bz.database.kind == "postgresql":
        await round_of("cut")
    for how, seconds in felt.items():
        shown = " ".join(f"{number:.3f}" for number in sorted(seconds))
        print(f"\nfelt elsewhere after, in seconds ({bz.database.kind}, {how}): {shown}")  # noqa: T201
    assert max(seconds for every in felt.values() for seconds in every) <= MOST


async def done(request: Awaitable[httpx.Response]) -> None:
    answer = await request
    assert answer.is_success, answer.text
