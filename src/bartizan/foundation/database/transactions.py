"""Who has a transaction open: joining it, its hooks, and its end."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from .errors import NoTransaction, TransactionDoomed, fault_of

Hook = Callable[[], Awaitable[None] | None]
_log = logging.getLogger(__name__)


class Unit(Protocol):
    """One transaction of one task, as SQLite's writer or PostgreSQL gives it."""

    @property
    def bind(self) -> AsyncConnection | AsyncEngine:
        """What its session speaks through."""
        ...

    async def commit(self, session: AsyncSession) -> bool:
        """Commit; true when the task was cancelled while the commit went on."""
        ...

    async def abandon(self, session: AsyncSession) -> None:
        """Undo; harmless after a commit."""
        ...


@dataclass(slots=True)
class Open:
    """A transaction that a task has open."""

    session: AsyncSession
    task: asyncio.Task[Any] | None
    before: list[Hook] = field(default_factory=list[Hook])
    after: list[Hook] = field(default_factory=list[Hook])
    doomed: BaseException | None = None


class Transactions:
    """The open transaction of each task. A child task never joins its parent's."""

    def __init__(self, begin: Callable[[], Awaitable[Unit]], session: Callable[..., AsyncSession]) -> None:
        self._begin = begin
        self._session = session
        self._open: ContextVar[Open | None] = ContextVar("bartizan_open", default=None)

    def mine(self) -> Open | None:
        """Give the transaction that this task has open, if any."""
        opened = self._open.get()
        return opened if opened and opened.task is asyncio.current_task() else None

    def need(self) -> Open:
        """Give the transaction that this task has open, or refuse."""
        if opened := self.mine():
            return opened
        raise NoTransaction

    @contextmanager
    def join(self, opened: Open) -> Generator[AsyncSession]:
        """Take part in it. An error that leaves the block dooms the whole, wherever it is caught."""
        try:
            yield opened.session
        except BaseException as error:
            opened.doomed = opened.doomed or error
            raise

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[AsyncSession]:
        """Open one, commit at the end, then run what waits for the commit."""
        with faults():
            unit = await self._begin()
        session = self._session(unit.bind)
        opened = Open(session, asyncio.current_task())
        token = self._open.set(opened)
        try:
            yield session
            await self._last_acts(opened)
            with faults():
                interrupted = await unit.commit(session)
        except BaseException:
            await unit.abandon(session)
            raise
        finally:
            self._open.reset(token)
        await _run_after(opened.after)
        if interrupted:
            raise asyncio.CancelledError

    @asynccontextmanager
    async def savepoint(self) -> AsyncGenerator[AsyncSession]:
        """Try something in the open transaction: an error undoes the block, hooks included, and no more."""
        opened = self.need()
        before, after, doomed = len(opened.before), len(opened.after), opened.doomed
        try:
            async with opened.session.begin_nested():
                yield opened.session
                _refuse_doomed(opened, doomed)
        except BaseException:
            del opened.before[before:], opened.after[after:]
            opened.doomed = doomed
            raise

    async def _last_acts(self, opened: Open) -> None:
        while opened.before and not opened.doomed:
            if (result := opened.before.pop(0)()) is not None:
                await result
        _refuse_doomed(opened)


def _refuse_doomed(opened: Open, since: BaseException | None = None) -> None:
    if opened.doomed is not since:
        raise TransactionDoomed from opened.doomed


@contextmanager
def faults() -> Generator[None]:
    """Turn a driver's error about the database itself into ours; one about the statement passes."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        if (fault := fault_of(error)) is None:
            raise
        raise fault from error


async def _run_after(hooks: list[Hook]) -> None:
    """Run what waited for the commit; the commit stands, so an error is logged and not raised."""
    for hook in hooks:
        try:
            if (result := hook()) is not None:
                await result
        except Exception:  # noqa: BLE001 - the commit stands
            _log.exception("A hook failed after the commit.")
