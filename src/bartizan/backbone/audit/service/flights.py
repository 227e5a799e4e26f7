"""Records that belong to no transaction, written in company: one batch at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context

from bartizan.backbone.audit.errors import AuditUnavailable
from bartizan.backbone.audit.types import Draft

_MOST = 500
"""Records of one batch."""
_LINGER = 0.002
"""Seconds to wait for company, when the last batch had some: many write at once, and a commit is dear."""
_COMPANY = 2

Waiting = tuple[Draft, asyncio.Future[None]]


class Flights:
    """While one batch is being written the next one gathers; whoever is alone does not wait for company."""

    def __init__(self, write: Callable[[Sequence[Draft]], Awaitable[None]]) -> None:
        """Write batches by ``write``, which raises ``AuditUnavailable`` when none of it was written."""
        self._write = write
        self._waiting: list[Waiting] = []
        self._task: asyncio.Task[None] | None = None

    async def add(self, draft: Draft) -> None:
        """Write a record; return when it is durable, or raise ``AuditUnavailable``."""
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()
        self._waiting.append((draft, written))
        if self._task is None or self._task.done() or self._task.get_loop() is not loop:
            # In a context of its own: a batch belongs to no caller, and joins nobody's transaction.
            self._task = asyncio.create_task(self._fly(), name="audit records", context=Context())
        await written

    async def _fly(self) -> None:
        last = 0
        while self._waiting:
            if last > _COMPANY:
                await asyncio.sleep(_LINGER)
            batch, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
            last = len(batch)
            await self._deliver(batch)

    async def _deliver(self, batch: Sequence[Waiting]) -> None:
        try:
            await self._write([draft for draft, _ in batch])
        except AuditUnavailable as error:
            if len(batch) > 1:  # one of them may be why: the others shall not suffer
                for each in batch:
                    await self._deliver([each])
                return
            _tell(batch, error)
        except BaseException as error:
            _tell(batch, error)
            raise
        else:
            _tell(batch, None)


def _tell(batch: Sequence[Waiting], error: BaseException | None) -> None:
    for _, written in batch:
        if written.done():
            continue  # who waited has gone
        if error is None:
            written.set_result(None)
        else:
            written.set_exception(error)
