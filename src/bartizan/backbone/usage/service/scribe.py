"""Writing down what was counted: in slices, each exactly once, again and again until it succeeds."""

import asyncio
from contextlib import suppress

from bartizan.backbone.usage.settings import UsageSettings
from bartizan.backbone.usage.store import Slice, UsageWriter
from bartizan.foundation import ids
from bartizan.foundation.errors import BartizanError
from bartizan.foundation.telemetry import logger

from .counting import Book, Counting
from .quotas import Quotas
from .slicing import Slicer

_TOGETHER = 0.05
"""How long a newcomer waits for others, in seconds."""
_PATIENCE = 30.0
_LAST_TRIES, _LAST_WORDS = 3, 10.0

_log = logger(__name__)


class Scribe:
    """Takes what was counted away, every so often, and writes it down."""

    def __init__(
        self, counting: Counting, quotas: Quotas, writer: UsageWriter, settings: UsageSettings
    ) -> None:
        self._counting = counting
        self._quotas = quotas
        self._writer = writer
        self._settings = settings
        self._id = ids.new("usg")
        self._slicer = Slicer(settings.raw_requests)
        self._part: Slice | None = None
        self._rest = self._slicer.cut(Book(0, ()))
        self.unwritten = 0
        """Requests that were taken from the counting, and are not known to be written."""
        self._one = asyncio.Lock()
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Write every so often from now on."""
        self._one, self._wake = asyncio.Lock(), asyncio.Event()  # of the loop that runs now
        self._stopping = False
        self._task = asyncio.create_task(self._run(), name="bartizan usage")

    async def stop(self) -> None:
        """Write what is left, and stop; if the database does not take it within seconds, it is lost."""
        self._stopping = True
        self._wake.set()
        task, self._task = self._task, None
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS):
                if task is not None:
                    await task
                for _ in range(_LAST_TRIES):
                    if await self._try():
                        return
                    await asyncio.sleep(self._settings.flush_seconds / _LAST_TRIES)
        if task is not None and not task.done():
            task.cancel()
        _log.error("usage could not be written before the end", requests=self.pending)

    def hurry(self) -> None:
        """Write soon."""
        self._wake.set()

    @property
    def pending(self) -> int:
        """How many requests would be lost if the process died now."""
        return self._counting.pending + self.unwritten

    async def flush(self) -> None:
        """Write down everything that was counted before this call."""
        async with self._one:
            await self._write()
            self._counting.take()
            await self._write()

    async def _run(self) -> None:
        failures = 0
        while not self._stopping:
            pause = min(self._settings.flush_seconds * 2**failures, _PATIENCE)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()
                    await asyncio.sleep(_TOGETHER)
            self._wake.clear()
            failures = 0 if await self._try() else min(failures + 1, 10)

    async def _try(self) -> bool:
        try:
            await self.flush()
        except BartizanError as error:
            _log.warning("usage waits for the database", requests=self.pending, code=error.code)
            return False
        except Exception:  # noqa: BLE001 - whatever it is, the counts stay and the next turn tries again
            _log.exception("usage could not be written", requests=self.pending)
            return False
        return True

    async def _write(self) -> None:
        books = self._counting.books
        while True:
            part = self._part or next(self._rest, None)
            if part is not None:
                # Kept until it is known to be written: the same slice is tried again, and counts once.
                self._part = part
                totals = await self._writer.write(self._id, part, keep=self._settings.raw_requests)
                self._part = None
                self.unwritten -= part.requests
                await self._quotas.learn(part, totals)
            elif books:
                book = books.popleft()
                self.unwritten += book.requests
                self._rest = self._slicer.cut(book)
            else:
                return
