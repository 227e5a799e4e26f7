"""What one process changed, the others hear of: by the bus there is, and by looking in any case."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from bartizan.foundation.database import Database, Wakeups
from bartizan.foundation.database.errors import MissingDriver
from bartizan.foundation.database.wakeups import service
from tests.harness.databases import PostgreSQL
from tests.harness.redis_server import Redis

Make = Callable[..., "Process"]


class Process:
    """What a process has of it."""

    def __init__(self, url: str, *, redis: str | None = None, every: float = 0.1) -> None:
        self.database = Database(url)
        self.wakeups = Wakeups(self.database, redis=redis, every=every)
        self.heard: Counter[str] = Counter()
        for topic in ("access", "jobs"):
            self.wakeups.listen(topic, self._note(topic))

    def _note(self, topic: str) -> Callable[[], None]:
        return lambda: self.heard.update([topic])

    async def start(self, *, connected: bool = False) -> "Process":
        await self.wakeups.start()
        if connected:
            await until(lambda: self.wakeups.connected)
            await asyncio.sleep(service._APART)  # what was said on joining is over
            self.heard.clear()
        return self

    async def change(self, topic: str = "access", **options: Any) -> None:
        async with self.database.transaction():
            self.wakeups.announce(topic, **options)

    async def stop(self) -> None:
        await self.wakeups.stop()
        await self.database.close()


async def until(holds: Callable[[], bool], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@pytest.fixture
async def make(database_url: str) -> AsyncGenerator[Make]:
    made: list[Process] = []

    def one(**options: Any) -> Process:
        made.append(Process(database_url, **options))
        return made[-1]

    yield one
    for process in made:
        await process.stop()


@pytest.mark.feature("ID-06")
async def test_every_other_process_hears_of_a_change(make: Make) -> None:
    here, there, elsewhere = [await make().start() for _ in range(3)]
    await until(lambda: here.wakeups.connected or here.database.kind == "sqlite")
    await here.change()
    await until(lambda: there.heard["access"] > 0 and elsewhere.heard["access"] > 0)


@pytest.mark.feature("ID-06")
async def test_the_table_is_enough(make: Make) -> None:
    here, there = make(), make()
    here.wakeups._bus = there.wakeups._bus = None
    await here.start()
    await there.start()
    for count in range(1, 4):
        await here.change()
        await until(lambda count=count: there.heard["access"] >= count)  # type: ignore[misc]
    assert here.heard["access"] == 0, "a process does not wake itself"
    assert not there.wakeups.connected


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_the_server_tells_without_anybody_looking(make: Make) -> None:
    here = await make(every=3600).start(connected=True)
    there = await make(every=3600).start(connected=True)
    for topic, counted in (("access", True), ("jobs", False)):
        await here.change(topic, counted=counted)
        await until(lambda topic=topic: there.heard[topic] > 0)  # type: ignore[misc]
    assert here.heard.total() == 0
    assert there.heard.total() == 2
    assert here.wakeups._seen == there.wakeups._seen == {"access": 1}


async def test_nothing_is_said_of_what_was_not_committed(make: Make) -> None:
    here, there = await make().start(), await make().start()

    async def change_and_fail() -> None:
        async with here.database.transaction():
            here.wakeups.announce("access")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change_and_fail()
    assert here.wakeups._pending == {}
    here.wakeups.announce("access")  # outside of one: at once
    await until(lambda: there.heard["access"] > 0)


@pytest.mark.feature("ID-06")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_connection_that_is_cut_comes_back_and_the_table_is_looked_at_meanwhile(
    make: Make, database_url: str, postgresql: PostgreSQL
) -> None:
    here, there = await make().start(connected=True), await make().start(connected=True)
    await asyncio.to_thread(postgresql.cut, database_url.rpartition("/")[2])
    await until(lambda: not there.wakeups.connected)
    there.heard.clear()
    await here.change()
    await until(lambda: there.heard["access"] > 0)
    await until(lambda: there.wakeups.connected and here.wakeups.connected)
    await until(lambda: there.heard["jobs"] > 0)  # after a gap everybody is told of everything


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_connection_that_says_nothing_is_asked_whether_it_lives(
    make: Make, postgresql: PostgreSQL
) -> None:
    here, there = make(), await make().start(connected=True)
    here.wakeups._bus = None  # its texts are lost on the way, as on a connection that nobody closed
    await here.start()
    bus, doubts = there.wakeups._bus, list[int]()
    assert bus is not None
    doubt = bus.doubt

    def noted() -> None:
        doubts.append(1)
        doubt()

    bus.doubt = noted  # type: ignore[method-assign]
    await here.change()
    await until(lambda: there.heard["access"] > 0)
    assert doubts
    await until(lambda: not bus._doubtful.is_set())  # type: ignore[attr-defined]
    assert there.wakeups.connected


async def test_many_announcements_are_few(make: Make) -> None:
    here, there = await make().start(), await make().start()
    await until(lambda: here.wakeups.connected or here.database.kind == "sqlite")
    written = 0

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal written
        written += "INSERT INTO bz_wakeups" in statement

    for engine in here.database._place.engines:
        event.listen(engine.sync_engine, "before_cursor_execute", count)
    there.heard.clear()
    for _ in range(200):
        here.wakeups.announce("access")
    await until(lambda: there.heard["access"] > 0)
    assert written <= 2


async def test_an_idle_process_reads_one_small_thing_now_and_again(make: Make) -> None:
    process = await make(every=0.2).start()
    await until(lambda: process.wakeups.connected or process.database.kind == "sqlite")
    said: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        said.append(statement)

    for engine in process.database._place.engines:
        event.listen(engine.sync_engine, "before_cursor_execute", note)
    await until(lambda: len(said) >= 5)
    assert {" ".join(statement.split()) for statement in said} == {
        "SELECT bz_wakeups.topic, bz_wakeups.version FROM bz_wakeups"
    }


async def test_a_listener_that_fails_hurts_no_other(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    here, there = await make().start(), make()

    def fail() -> None:
        raise ZeroDivisionError

    later: list[int] = []
    there.wakeups.listen("access", fail)
    there.wakeups.listen("access", lambda: later.append(1))
    await there.start()
    await there.wakeups.start()  # twice is once
    with caplog.at_level(logging.ERROR, "bartizan"):
        await here.change()
        await until(lambda: bool(later))
    assert "A listener to access failed." in caplog.text


async def test_what_is_no_topic_is_refused(make: Make) -> None:
    process = make()
    for topic in ("", "Access", "a b", "a" * 41, "org_1"):
        with pytest.raises(ValueError, match="topic"):
            process.wakeups.announce(topic)
        with pytest.raises(ValueError, match="topic"):
            process.wakeups.listen(topic, lambda: None)


async def test_texts_of_others_are_let_be(make: Make) -> None:
    process = await make().start()
    await until(lambda: process.wakeups.connected or process.database.kind == "sqlite")
    await asyncio.sleep(service._APART * 2)
    process.heard.clear()
    for text in ("", "access", "x" * 10_000, "0123456789abcdef -1 access", "0123456789abcdef 1 ACCESS"):
        process.wakeups._heard(text)
    process.wakeups._heard("0123456789abcdef 0 unknown")
    process.wakeups._heard(f"{process.wakeups._sender} 9 access")
    await asyncio.sleep(service._APART * 2)
    assert process.heard.total() == 0


async def test_a_change_is_told_before_a_process_ends(make: Make) -> None:
    there, here = await make().start(), await make().start()
    await here.change()
    await here.wakeups.stop()
    await until(lambda: there.heard["access"] > 0)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_what_could_not_be_told_is_told_later(
    make: Make, database_url: str, postgresql: PostgreSQL, caplog: pytest.LogCaptureFixture
) -> None:
    here, there = await make().start(connected=True), await make().start(connected=True)
    name = database_url.rpartition("/")[2]
    await asyncio.to_thread(postgresql.turn_away, name)
    try:
        here.wakeups.announce("access")
        await until(lambda: "trying again" in caplog.text)
    finally:
        await asyncio.to_thread(postgresql.welcome, name)
    await until(lambda: there.wakeups.connected)
    await until(lambda: (here.wakeups._seen or {}).get("access") == 1)
    await until(lambda: there.heard["access"] > 0)


class TestRedis:
    """With Redis between the processes, whatever the database is."""

    async def test_it_tells_without_anybody_looking(self, make: Make, redis: Redis) -> None:
        here = await make(every=3600, redis=redis.address).start(connected=True)
        there = await make(every=3600, redis=redis.address).start(connected=True)
        await here.change()
        await until(lambda: there.heard["access"] > 0)
        await here.change("jobs", counted=False)
        await until(lambda: there.heard["jobs"] > 0)
        assert here.heard.total() == 0

    @pytest.mark.feature("ID-06")
    async def test_without_it_the_table_is_enough_and_it_comes_back(
        self, make: Make, redis: Redis, caplog: pytest.LogCaptureFixture
    ) -> None:
        here = await make(redis=redis.address).start(connected=True)
        there = await make(redis=redis.address).start(connected=True)
        redis.kill()
        await until(lambda: not there.wakeups.connected)
        there.heard.clear()
        await here.change()
        await until(lambda: there.heard["access"] > 0)
        await until(lambda: "does not carry" in caplog.text)
        redis.start()
        await until(lambda: there.wakeups.connected and here.wakeups.connected)
        await until(lambda: there.heard["jobs"] > 0)

    async def test_a_silent_connection_is_asked_whether_it_lives(self, make: Make, redis: Redis) -> None:
        here, there = make(), await make(redis=redis.address).start(connected=True)
        here.wakeups._bus = None
        await here.start()
        await here.change()
        await until(lambda: there.heard["access"] > 0)
        bus = there.wakeups._bus
        await until(lambda: not bus._doubtful)  # type: ignore[union-attr]
        assert there.wakeups.connected

    async def test_its_library_is_asked_for_by_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(service, "find_spec", lambda _name: None)
        with pytest.raises(MissingDriver, match=r"bartizan\[redis\]"):
            Wakeups(Database(f"sqlite:///{tmp_path}/x.db"), redis="redis://127.0.0.1")
