"""The one place of a process that writes to SQLite: writers take turns, and share commits.

SQLite has one write lock, and an fsync costs more than most units of work. So the process holds one
write connection. A unit (a service's transaction, or a plain function) gets the turn, first come,
first served; when it ends and others wait, its savepoint is released and the turn goes on *inside the
same SQLite transaction*. After 64 units, after 20 ms, or when nobody waits, a thread commits, and only
then does every unit of the batch learn that it is durable.

    idle ──► begin ──► unit, unit, unit … ──► commit (thread) ──► wake all ──► next batch
                         a failing unit rolls back to its own savepoint

A failing COMMIT fails each unit of the batch, and the connection is replaced.
"""

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from enum import Enum, auto
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.util import greenlet_spawn

from bartizan.foundation.database.errors import DatabaseBusy, DatabaseUnreachable, WrongLoop, fault_of

T = TypeVar("T")
_log = logging.getLogger(__name__)
_UNITS = 64
_SPAN = 0.02
"""A batch takes on no further unit after so many, or after so many seconds."""
_SLOW = 1.0


class _Phase(Enum):
    IDLE = auto()
    HELD = auto()
    """A task's unit has the turn."""
    AWAY = auto()
    """The thread has the connection: to commit, or to wait for another process's lock."""


class _Ticket:
    """One who waits for the turn: a task (no function), or a function to be run when it comes."""

    __slots__ = ("context", "expiry", "function", "future")

    def __init__(self, future: asyncio.Future[Any], function: Callable[[Connection], Any] | None) -> None:
        self.future = future
        self.function = function
        self.context: Context | None = copy_context() if function else None
        self.expiry: asyncio.TimerHandle | None = None


class Unit:
    """A task's turn. It ends by ``commit`` or ``abandon``, whichever is called first."""

    __slots__ = ("_ended", "_since", "_writer", "bind")

    def __init__(self, writer: "Writer", bind: AsyncConnection, since: float) -> None:
        self._writer = writer
        self.bind = bind
        self._since = since
        self._ended = False

    async def commit(self, session: AsyncSession) -> bool:
        """Keep the unit and return when it is durable; true when the task was cancelled meanwhile."""
        inner = session.sync_session  # no greenlet: nothing in this dialect waits
        inner.commit()
        inner.close()
        self._ended = True
        return await _outcome(self._writer.leave(self.bind, self._since, keep=True))

    async def abandon(self, session: AsyncSession) -> None:
        """Undo the unit."""
        try:
            session.sync_session.close()
        finally:
            if not self._ended:
                self._ended = True
                self._writer.leave(self.bind, self._since, keep=False)


class Writer:
    """Hands on the turn. All of it runs on the event loop, except BEGIN under contention and COMMIT."""

    def __init__(self, engine: AsyncEngine, *, turn_timeout: float, busy_timeout: float) -> None:
        self._engine = engine
        self._turn_timeout = turn_timeout
        self._busy = f"PRAGMA busy_timeout={round(busy_timeout * 1000)}"
        self._loop: asyncio.AbstractEventLoop | None = None
        self._phase = _Phase.IDLE
        self._queue: deque[_Ticket] = deque()
        self._batch: list[tuple[asyncio.Future[Any], Any]] = []
        self._began: float | None = None
        self._count = 0
        self._connection: Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bartizan-commit")

    async def begin(self) -> Unit:
        """Wait for the turn."""
        ticket = self._line_up(None)
        try:
            await ticket.future
        except asyncio.CancelledError:
            if ticket.future.done() and not ticket.future.cancelled() and not ticket.future.exception():
                self._hand_on()  # the turn had just been given: give it back
            raise
        finally:
            if ticket.expiry:
                ticket.expiry.cancel()
        connection = self._connect()
        # A connection object of its own: whatever a unit leaves behind in it concerns no neighbour.
        own = Connection(self._engine.sync_engine, connection.connection)
        return Unit(self, AsyncConnection(self._engine, own), asyncio.get_running_loop().time())

    async def write(self, function: Callable[[Connection], T]) -> T:
        """Run a plain function when its turn comes, beside others; return when durable."""
        ticket = self._line_up(function)
        try:
            result: T = await ticket.future
        finally:
            if ticket.expiry:
                ticket.expiry.cancel()
        return result

    def leave(self, bind: AsyncConnection, since: float, *, keep: bool) -> asyncio.Future[None]:
        """End the unit that holds the turn; the future tells when it is durable."""
        loop = asyncio.get_running_loop()
        durable: asyncio.Future[None] = loop.create_future()
        if self._phase is not _Phase.HELD or loop is not self._loop:  # closed meanwhile
            if keep:
                durable.set_exception(DatabaseUnreachable())
            return durable
        own = bind.sync_connection
        if own is not None and (left := own.get_transaction()) is not None:
            left.rollback()
        if (held := loop.time() - since) > _SLOW:
            _log.warning("A transaction held the turn to write for %.1f s; all other writers waited.", held)
        if keep:
            self._batch.append((durable, None))
        self._hand_on()
        return durable

    async def close(self, patience: float = 5.0) -> None:
        """Finish what is under way, then let go of the connection; who still waits is refused."""
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        while loop is self._loop and self._phase is not _Phase.IDLE and loop.time() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        self._reset()

    def _reset(self) -> None:
        for ticket in self._queue:
            _fail(ticket.future, DatabaseUnreachable())
        self._queue.clear()
        self._thread.shutdown(wait=True)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bartizan-commit")
        self._lose(DatabaseUnreachable())
        self._phase = _Phase.IDLE

    def _line_up(self, function: Callable[[Connection], Any] | None) -> _Ticket:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._move(loop)
        ticket = _Ticket(loop.create_future(), function)
        self._queue.append(ticket)
        if self._phase is _Phase.IDLE:
            self._advance()
        if not ticket.future.done():
            ticket.expiry = loop.call_later(self._turn_timeout, _fail, ticket.future, DatabaseBusy())
        return ticket

    def _move(self, loop: asyncio.AbstractEventLoop) -> None:
        """Follow a program that closed one event loop and opened another."""
        if (
            self._loop is not None
            and not self._loop.is_closed()
            and (self._phase is not _Phase.IDLE or self._loop.is_running())
        ):
            raise WrongLoop
        if self._phase is not _Phase.IDLE:  # the old loop died in the middle of something
            self._queue.clear()  # nobody is left to be told
            self._batch.clear()
            self._reset()
        self._loop = loop

    def _hand_on(self) -> None:
        self._phase = _Phase.IDLE
        self._advance()

    def _advance(self) -> None:
        """Serve who waits, until a task holds the turn or the thread has the connection."""
        assert self._loop is not None
        while True:
            if self._began is not None and not self._driver().in_transaction:
                self._lose(DatabaseUnreachable())  # SQLite rolled the whole batch back: disk full, I/O error
            full = self._began is not None and (
                self._count >= _UNITS or self._loop.time() - self._began > _SPAN
            )
            while self._queue and self._queue[0].future.done():  # cancelled, or waited too long
                self._queue.popleft()
            if (full or not self._queue) and self._began is not None:
                self._finish()
                if self._phase is _Phase.AWAY:
                    return
            if not self._queue:
                return
            if self._began is None and not self._begin():
                if self._phase is _Phase.AWAY:
                    return
                continue
            ticket = self._queue.popleft()
            self._count += 1
            if ticket.function is None:
                self._phase = _Phase.HELD
                ticket.future.set_result(None)
                return
            self._run(ticket)

    def _run(self, ticket: _Ticket) -> None:
        assert ticket.context is not None
        assert ticket.function is not None
        connection = self._connect()
        try:
            result: Any = ticket.context.run(ticket.function, connection)
            connection.commit()
        except BaseException as error:  # noqa: BLE001 - whatever it is belongs to who asked
            try:
                connection.rollback()
            except Exception:  # noqa: BLE001 - the batch is lost; _advance sees it and says so to each unit
                self._connection = Connection(self._engine.sync_engine, connection.connection)
            _fail(ticket.future, error)
        else:
            self._batch.append((ticket.future, result))

    def _begin(self) -> bool:
        """Begin the batch at once if no other process holds the lock, else wait for it in the thread."""
        assert self._loop is not None
        try:
            driver = self._driver()
            driver.execute("PRAGMA busy_timeout=0")
            try:
                driver.execute("BEGIN IMMEDIATE")
            finally:
                driver.execute(self._busy)
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to who waits for it
            if isinstance(fault_of(error), DatabaseBusy) and self._connection is not None:
                self._phase = _Phase.AWAY
                self._loop.run_in_executor(self._thread, self._execute, "BEGIN IMMEDIATE").add_done_callback(
                    self._begun
                )
            else:
                self._lose(error)
                _fail(self._queue.popleft().future, error)
            return False
        self._start()
        return True

    def _begun(self, done: asyncio.Future[None]) -> None:
        if error := done.exception():
            if self._queue:
                _fail(self._queue.popleft().future, error)
        else:
            self._start()
        self._hand_on()

    def _start(self) -> None:
        assert self._loop is not None
        self._began, self._count = self._loop.time(), 0

    def _finish(self) -> None:
        """Commit in the thread: an fsync has no place on the event loop."""
        assert self._loop is not None
        if not self._batch:
            self._began = None
            try:
                self._execute("ROLLBACK")
            except sqlite3.Error as error:
                self._lose(error)
            return
        self._phase = _Phase.AWAY
        self._loop.run_in_executor(self._thread, self._execute, "COMMIT").add_done_callback(self._finished)

    def _finished(self, done: asyncio.Future[None]) -> None:
        if error := done.exception():
            _log.error("A commit failed, and with it %d units.", len(self._batch), exc_info=error)
            self._lose(error)
        else:
            for future, result in self._batch:
                if not future.done():
                    future.set_result(result)
            self._batch.clear()
            self._began = None
        self._hand_on()

    def _lose(self, error: BaseException) -> None:
        """Fail each unit of the batch and begin anew with another connection."""
        for future, _ in self._batch:
            _fail(future, error)
        self._batch.clear()
        self._began = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.connection.driver_connection.close()  # type: ignore[union-attr]
            connection.connection.invalidate()

    def _connect(self) -> Connection:
        if self._connection is None:
            engine = self._engine.sync_engine
            self._connection = Connection(engine, _at_once(greenlet_spawn(engine.raw_connection)))
        return self._connection

    def _driver(self) -> sqlite3.Connection:
        driver = self._connect().connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        return driver

    def _execute(self, statement: str) -> None:
        self._driver().execute(statement)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if future.done():
        return
    fault: Exception | None = fault_of(error)
    if fault is not None and fault is not error:
        fault.__cause__ = error
    elif isinstance(error, StopIteration):  # which no future can carry
        fault = RuntimeError("The function raised StopIteration.")
    future.set_exception(fault or error)


def _at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that has no reason to suspend: SQLAlchemy's asyncio pool wants to be in one."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    coroutine.close()
    raise DatabaseBusy


async def _outcome(durable: asyncio.Future[None]) -> bool:
    """Wait for the commit even when cancelled: it will happen, and what follows it must know."""
    interrupted = False
    while True:
        try:
            await asyncio.shield(durable)
        except asyncio.CancelledError:
            interrupted = True
            if durable.cancelled():
                raise
        else:
            return interrupted
