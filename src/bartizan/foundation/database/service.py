"""Transactions on SQLite and PostgreSQL, with hooks before and after the commit."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from . import dialect
from .tables import Table

T = TypeVar("T")
Hook = Callable[[], Awaitable[None] | None]


@dataclass(slots=True)
class _Open:
    session: AsyncSession
    task: asyncio.Task[Any] | None
    before: list[Hook] = field(default_factory=list)
    after: list[Hook] = field(default_factory=list)


class Database:
    """Hands out transactions. Calls made inside one join it."""

    _across: ContextVar[bool] = ContextVar("bartizan_across", default=False)

    def __init__(self, url: str) -> None:
        dialect.register()
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            parsed = parsed.set(drivername="sqlite+inline")
        self.engine = create_async_engine(parsed)
        self.kind = parsed.get_backend_name()
        self._open: ContextVar[_Open | None] = ContextVar("bartizan_open", default=None)
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        self._turn = asyncio.Lock()
        if self.kind == "sqlite":
            event.listen(self.engine.sync_engine, "connect", _prepare)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncSession]:
        """Open a transaction that writes, or join the one this task has open."""
        opened = self._open.get()
        if opened and opened.task is asyncio.current_task():
            yield opened.session
            return
        async with self._turn, self._sessions() as session:
            if self.kind == "sqlite":
                await (await session.connection()).exec_driver_sql("BEGIN IMMEDIATE")
            opened = _Open(session, asyncio.current_task())
            token = self._open.set(opened)
            try:
                yield session
                while opened.before:
                    if (result := opened.before.pop(0)()) is not None:
                        await result
                await session.commit()
            except BaseException:
                await session.rollback()
                raise
            finally:
                self._open.reset(token)
        for hook in opened.after:
            if (result := hook()) is not None:
                await result

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncSession]:
        """Open a transaction that only reads, or join the one this task has open."""
        opened = self._open.get()
        if opened and opened.task is asyncio.current_task():
            yield opened.session
            return
        async with self._sessions() as session:
            yield session

    @property
    def in_transaction(self) -> bool:
        """Tell whether this task has a transaction open: what it reads may never be committed."""
        opened = self._open.get()
        return opened is not None and opened.task is asyncio.current_task()

    def before_commit(self, hook: Hook) -> None:
        """Run ``hook`` inside this task's open transaction, as its last act."""
        self._current().before.append(hook)

    def after_commit(self, hook: Hook) -> None:
        """Run ``hook`` once this task's open transaction has committed; never if it rolls back."""
        self._current().after.append(hook)

    async def write(self, unit: Callable[[Connection], T]) -> T:
        """Run a plain function in a transaction that it may share with others; return when durable."""
        async with self.transaction() as session:
            return await (await session.connection()).run_sync(unit)

    @contextmanager
    def across_organizations(self) -> Generator[None]:
        """Lift the tenant walls for the block: only stores may, and only where the question spans tenants."""
        token = self._across.set(True)
        try:
            yield
        finally:
            self._across.reset(token)

    async def migrate(self) -> None:
        """Bring the tables to the newest revision."""
        async with self.engine.begin() as connection:
            await connection.run_sync(Table.metadata.create_all)

    async def close(self) -> None:
        """Let go of every connection."""
        await self.engine.dispose()

    def _current(self) -> _Open:
        opened = self._open.get()
        if opened is None:
            message = "No transaction is open."
            raise RuntimeError(message)
        return opened


def _prepare(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
        connection.execute(f"PRAGMA {pragma}")
