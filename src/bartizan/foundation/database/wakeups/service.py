"""Telling other processes that something changed, and hearing of it from them."""

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from contextvars import Context
from importlib import import_module
from importlib.util import find_spec
from random import SystemRandom
from secrets import token_hex
from typing import Any, cast

from sqlalchemy import Connection

from bartizan.foundation.database.errors import MissingDriver
from bartizan.foundation.database.service import Database

from . import store
from .backends import Bus

_log = logging.getLogger(__name__)
_JITTER = SystemRandom()
_CHANNEL = "bartizan_wakeups"
_TOPIC = re.compile(r"[a-z][a-z_]{0,39}")
_TEXT = re.compile(r"(?P<sender>[0-9a-f]{16}) (?P<version>\d{1,18}) (?P<topic>[a-z][a-z_]{0,39})")
_APART = 0.05
"""Seconds between two announcements of a process, and between two calls of a listener: more become one."""
_SOON, _LATE = 0.1, 15.0
"""Seconds between two attempts to connect, at first and at last."""
_ATTEMPTS = 10
_STEADY = 5.0
"""A connection that lasted so many seconds was a good one: attempts begin with the shortest pause again."""


class Wakeups:
    """Tells topics, never what happened: listeners look for themselves. ``bz.wakeups``.

    A topic is announced when the change is committed, and counted in a table, which every process looks at
    once in ``every`` seconds: one small read. So a listener hears of it within that time on every database,
    and whatever becomes of the bus. PostgreSQL itself (NOTIFY), or Redis where there is one, tell it within
    milliseconds. Announcements that follow each other closely become one. A process that dies between its
    commit and its announcement has said nothing: what is remembered needs a time to live as well.
    """

    def __init__(
        self, database: Database, *, redis: str | None = None, channel: str = "", every: float = 2.0
    ) -> None:
        """Use the bus that there is; ``channel`` keeps installations apart that share one Redis."""
        self._database = database
        self._every = every
        self._sender = token_hex(8)
        self._bus = _bus(database, redis, f"{_CHANNEL}_{channel}" if channel else _CHANNEL)
        self._listeners: dict[str, list[Callable[[], None]]] = {}
        self._seen: dict[str, int] | None = None
        self._pending: dict[str, bool] = {}
        """Topics to be announced, and whether they are counted: no more than there are topics."""
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._called: dict[str, float] = {}
        self._due: dict[str, asyncio.TimerHandle] = {}
        self.connected = False
        """Whether the bus carries what others say; without it the table is all there is."""

    def listen(self, topic: str, callback: Callable[[], None]) -> None:
        """Call ``callback`` when another process has announced ``topic``, or may have.

        It is told too often rather than too seldom: after a gap in the connection everybody is.
        """
        self._listeners.setdefault(_checked(topic), []).append(callback)

    def announce(self, topic: str, *, counted: bool = True) -> None:
        """Tell the other processes of ``topic``: after the commit inside a transaction, else now.

        What is not ``counted`` costs no write, and may be missed.
        """
        _checked(topic)
        if self._database.in_transaction:
            self._database.after_commit(lambda: self._mark(topic, counted=counted))
        else:
            self._mark(topic, counted=counted)

    async def start(self) -> None:
        """Begin to listen and to look."""
        if self._tasks:
            return
        self._seen = dict(await self._versions())
        work: list[Callable[[], Coroutine[Any, Any, None]]] = [self._telling, self._looking]
        if self._bus is not None:
            work.append(self._hearing)
        # A context of its own: it works for everybody, not for the request that may have started the house.
        self._tasks = [
            asyncio.create_task(one(), name="bartizan wake-ups", context=Context()) for one in work
        ]

    async def stop(self) -> None:
        """Say what is still to be said, and listen no more."""
        tasks, self._tasks = self._tasks, []
        for _ in range(_ATTEMPTS):  # a library in between may swallow a cancellation
            if not (left := {task for task in tasks if not task.done()}):
                break
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=1.0)
        for handle in self._due.values():
            handle.cancel()
        self._due.clear()
        if tasks:
            await self._tell()
        self.connected = False
        if self._bus is not None:
            with suppress(Exception):  # it may be gone
                async with asyncio.timeout(_STEADY):
                    await self._bus.close()

    def _mark(self, topic: str, *, counted: bool) -> None:
        if counted or self._bus is not None:
            self._pending[topic] = counted or self._pending.get(topic, False)
            self._news.set()

    async def _telling(self) -> None:
        """Announce what is pending, many at once."""
        while True:
            await self._news.wait()
            self._news.clear()
            await asyncio.sleep(_APART if await self._tell() else 1.0)

    async def _tell(self) -> bool:
        pending, self._pending = self._pending, {}
        if not pending:
            return True

        def unit(connection: Connection) -> Mapping[str, int]:
            counts = store.bump(connection, (topic for topic, counted in pending.items() if counted))
            if self._bus is not None:
                self._bus.within(connection, self._texts(pending, counts))
            return counts

        try:
            counts = await self._database.write(unit)
        except Exception:  # noqa: BLE001 - the database may be away; it is tried again
            _log.warning("Could not tell the other processes of a change; trying again.", exc_info=True)
            for topic, counted in pending.items():
                self._mark(topic, counted=counted)
            return False
        for topic, count in counts.items():
            if self._seen is not None and count == self._seen.get(topic, 0) + 1:
                self._seen[topic] = count  # nobody else's
        if self._bus is not None:
            try:
                await self._bus.send(self._texts(pending, counts))
            except Exception:  # noqa: BLE001 - they look at the table
                _log.warning("The bus does not carry: other processes hear of a change later.", exc_info=True)
        return True

    def _texts(self, topics: Mapping[str, bool], counts: Mapping[str, int]) -> list[str]:
        return [f"{self._sender} {counts.get(topic, 0)} {topic}" for topic in topics]

    async def _looking(self) -> None:
        """Look at the table now and again."""
        while True:
            await asyncio.sleep(self._every * _JITTER.uniform(0.9, 1.0))
            try:
                versions = await self._versions()
            except Exception:  # noqa: BLE001 - the database may be away; nobody can change it then
                _log.debug("Could not look for news.", exc_info=True)
                continue
            seen = self._seen if self._seen is not None else {}
            news = [topic for topic, version in versions.items() if version != seen.get(topic, 0)]
            self._seen = {**seen, **versions}
            for topic in news:
                self._hear(topic)
            if news and self._bus is not None and self.connected:
                self._bus.doubt()

    async def _versions(self) -> Mapping[str, int]:
        async with self._database.reading() as session:
            return await (await session.connection()).run_sync(store.versions)

    async def _hearing(self) -> None:
        """Stay connected to the bus."""
        assert self._bus is not None
        loop, pause = asyncio.get_running_loop(), _SOON
        while True:
            began = loop.time()
            try:
                await self._bus.listen(self._heard, self._joined)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
                _log.log(
                    logging.WARNING if self.connected or pause == _SOON else logging.DEBUG,
                    "The bus between processes is not there (%s); looking at the table meanwhile.",
                    type(error).__name__,
                )
            self.connected = False
            pause = _SOON if loop.time() - began > _STEADY else min(pause * 2, _LATE)
            await asyncio.sleep(pause * _JITTER.uniform(0.5, 1.0))

    def _joined(self) -> None:
        """Assume that everything has changed: nobody knows what was said before we listened."""
        self.connected = True
        for topic in self._listeners:
            self._hear(topic)

    def _heard(self, text: str) -> None:
        """Take one text from the bus; what is none of ours is not for us."""
        said = _TEXT.fullmatch(text)
        if said is None or said["sender"] == self._sender:
            return
        topic, version = said["topic"], int(said["version"])
        if self._seen is not None and version:
            self._seen[topic] = max(version, self._seen.get(topic, 0))
        self._hear(topic)

    def _hear(self, topic: str) -> None:
        """Call the listeners, now or as soon as the last call is a moment ago."""
        if topic not in self._listeners or topic in self._due:
            return
        loop = asyncio.get_running_loop()
        wait = self._called.get(topic, 0.0) + _APART - loop.time()
        if wait <= 0:
            self._call(topic)
        else:
            self._due[topic] = loop.call_later(wait, self._call, topic)

    def _call(self, topic: str) -> None:
        self._due.pop(topic, None)
        self._called[topic] = asyncio.get_running_loop().time()
        for callback in self._listeners[topic]:
            try:
                callback()
            except Exception:  # noqa: BLE001 - the others are called all the same
                _log.exception("A listener to %s failed.", topic)


def _checked(topic: str) -> str:
    if not _TOPIC.fullmatch(topic):
        message = f"{topic!r} is not a topic: use up to 40 small letters and underscores."
        raise ValueError(message)
    return topic


def _bus(database: Database, redis: str | None, channel: str) -> Bus | None:
    """Choose how processes call each other; none where the table is all there is."""
    if redis:
        if not find_spec("redis"):
            message = 'BARTIZAN_REDIS is set, and its library is missing: pip install "bartizan[redis]"'
            raise MissingDriver(message, extra="redis")
        module = import_module("bartizan.foundation.database.wakeups.backends.redis")
        return cast("Bus", module.RedisBus(redis, channel))
    if database.kind == "postgresql":
        module = import_module("bartizan.foundation.database.wakeups.backends.postgres")
        return cast("Bus", module.PostgresBus(database.engine, channel))
    return None
