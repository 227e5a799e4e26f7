"""Full disks and absent databases: refused in words, forgotten when they pass, nothing half-written."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection

from bartizan.doors.frameworks import Wrapped, wrap
from bartizan.doors.testing import Cast, Person, anyone, program
from tests.doors.hosts import echo
from tests.harness.books import read
from tests.harness.databases import PostgreSQL

KEYS = "/_bartizan/api/v1/api-keys"
AWAY = ("database-unreachable", "database-busy", "audit-unavailable")
READY = "/_bartizan/health/ready"
ANNOUNCED = "select count(*) from bz_events where type = 'api_key.issued'"
AUDITED = "select count(*) from bz_audit_events where action = 'api_key.issued'"


@pytest.fixture
async def app(bartizan_settings: dict[str, Any]) -> AsyncGenerator[Wrapped]:
    impatient = {"busy_timeout": 0.2, "pool_timeout": 2, "connect_timeout": 2}
    app = wrap(echo(), {**bartizan_settings, "database_options": impatient})
    await app.bz.start(embedded=False)
    yield app
    await app.bz.stop()


@pytest.fixture
async def admin(app: Wrapped) -> Person:
    cast = Cast(app.bz)
    return await cast.person(await cast.organization(), "admin")


async def make(http: httpx.AsyncClient, name: str) -> httpx.Response:
    return await http.post(KEYS, json={"name": name, "scopes": ["app:read"]})


def refused(answer: httpx.Response, *codes: str) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["code"] in codes, answer.text
    assert "sql" not in answer.text.lower().replace("sqlite", "")


async def whole(url: str, http: httpx.AsyncClient, acknowledged: set[str]) -> None:
    """Compare what was acknowledged with what there is, and what there is with its events and audit rows."""
    names, cursor = set[str](), None
    while True:
        asked = {"limit": "100", **({"cursor": cursor} if cursor else {})}
        page = (await http.get(KEYS, params=asked)).json()
        names |= {key["name"] for key in page["items"]}
        cursor = page.get("next_cursor") or page.get("next")
        if not cursor:
            break
    assert acknowledged <= names
    [(announced,)], [(audited,)] = await read(url, ANNOUNCED), await read(url, AUDITED)
    assert len(names) == announced == audited


async def limit(app: Wrapped, pages: int | None) -> None:
    """Let SQLite's writing connection find the disk full at so many pages; none takes that back."""

    def set_limit(connection: Connection) -> None:
        most = pages or 2**30
        connection.exec_driver_sql(f"PRAGMA max_page_count = {most}")

    await app.bz.database.write(set_limit)


@pytest.mark.feature("X-13", "AUD-12")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_full_disk_is_said_and_forgotten(app: Wrapped, admin: Person, database_url: str) -> None:
    done = set[str]()
    async with program(app, admin) as http:
        assert (await make(http, "before")).status_code == 201
        [(pages,)] = await read(database_url, "PRAGMA page_count")
        await limit(app, pages)
        answer = await make(http, "k0")
        for count in range(1, 400):
            if answer.status_code != 201:
                break
            done.add(f"k{count - 1}")
            answer = await make(http, f"k{count}")
        refused(answer, "database-full")
        assert (await http.get(KEYS)).status_code == 200, "reading goes on"
        await limit(app, pages)  # whoever met a fault may have opened the file anew
        unrecorded = await http.post("/things", json={})
        for _ in range(400):
            if unrecorded.status_code != 200:
                break
            unrecorded = await http.post("/things", json={})
        refused(unrecorded, "audit-unavailable", "database-full")
        await whole(database_url, http, done)
        await limit(app, None)
        assert (await make(http, "after")).status_code == 201
        assert (await http.post("/things", json={})).status_code == 200
        await whole(database_url, http, {*done, "before", "after"})


@pytest.mark.feature("X-13", "CORE-07")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_file_that_another_program_holds_is_said_and_forgotten(
    app: Wrapped, admin: Person, database_url: str
) -> None:
    async with program(app, admin) as http:
        with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
            other.execute("begin immediate")
            refused(await make(http, "meanwhile"), "database-busy")
            assert (await http.get(KEYS)).status_code == 200, "readers do not wait for writers"
            other.execute("rollback")
        assert (await make(http, "after")).status_code == 201
        await whole(database_url, http, {"after"})


@pytest.mark.feature("X-13", "OPS-01", "OPS-07")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_database_that_goes_and_comes_back_needs_no_restart(
    app: Wrapped, admin: Person, database_url: str, postgresql: PostgreSQL
) -> None:
    name = database_url.rpartition("/")[2]
    done = set[str]()

    async def busy(http: httpx.AsyncClient, lane: int) -> None:
        for count in range(1_000):
            answer = await make(http, f"{lane}.{count}")
            if answer.status_code != 201:
                refused(answer, *AWAY)
                return
            done.add(f"{lane}.{count}")

    async with program(app, admin) as http, anyone(app) as anybody:
        assert (await anybody.get(READY)).status_code == 200
        lanes = [asyncio.create_task(busy(http, lane)) for lane in range(6)]
        while len(done) < 6:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await asyncio.to_thread(postgresql.turn_away, name)
        try:
            await asyncio.gather(*lanes)
            refused(await make(http, "while away"), *AWAY)
            refused(await http.get(KEYS), *AWAY)
            ready = await anybody.get(READY)
            assert (ready.status_code, ready.json()["checks"]["database"]) == (503, False)
            assert (await anybody.get("/_bartizan/health/live")).status_code == 200
        finally:
            await asyncio.to_thread(postgresql.welcome, name)
        assert (await make(http, "after")).status_code == 201
        assert (await anybody.get(READY)).status_code == 200
        await whole(database_url, http, {*done, "after"})


@pytest.mark.feature("X-13", "CORE-08")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_transaction_whose_connection_is_cut_leaves_nothing(
    app: Wrapped, admin: Person, database_url: str, postgresql: PostgreSQL
) -> None:
    name = database_url.rpartition("/")[2]
    done = set[str]()

    async def busy(http: httpx.AsyncClient, lane: int) -> None:
        for count in range(25):
            answer = await make(http, f"{lane}.{count}")
            if answer.status_code == 201:
                done.add(f"{lane}.{count}")
            else:
                refused(answer, *AWAY)

    async with program(app, admin) as http:
        lanes = [asyncio.create_task(busy(http, lane)) for lane in range(6)]
        for _ in range(4):
            await asyncio.sleep(0.15)
            await asyncio.to_thread(postgresql.cut, name)
        await asyncio.gather(*lanes)
        assert (await make(http, "after")).status_code == 201
        await whole(database_url, http, {*done, "after"})


@pytest.mark.feature("CORE-15", "CORE-08")
async def test_a_server_refuses_to_start_without_its_database(tmp_path: Path) -> None:
    nowhere = "postgresql+asyncpg://ada:very-secret@127.0.0.1:1/notes"
    app = wrap(echo(), {"database": nowhere, "data_dir": str(tmp_path), "environment": "test"})
    async with anyone(app) as http:
        answer = await http.get("/things")
    refused(answer, "not-started")
    assert "very-secret" not in answer.text
    await app.bz.stop()
