"""One attempt at one job: run the handler, and tell what became of it."""

import asyncio
import hashlib
import inspect
import logging
import random
import re
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from bartizan.backbone.jobs.errors import GiveUp, LeaseLost, RetryLater
from bartizan.backbone.jobs.settings import JobsSettings
from bartizan.backbone.jobs.store import Leases
from bartizan.backbone.jobs.types import Claimed, Outcome
from bartizan.foundation.context import Origin, current
from bartizan.foundation.database import Database
from bartizan.foundation.telemetry import Metrics

log = logging.getLogger(__name__)
_VARIABLE = re.compile(
    r"'[^']*'|\"[^\"]*\"|[0-9a-f]{8}-[0-9a-f-]{27}|\b[a-z]{3}_[0-9a-z]{26}\b|0x[0-9a-f]+|\d+"
)
_JITTER = random.SystemRandom()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobContext:
    """What a handler knows about the job it does."""

    id: str
    """Stable over all attempts: what others need to recognise a repetition."""
    kind: str
    org_id: str | None
    queue: str
    attempt: int
    """1 at the first attempt."""
    max_attempts: int
    due: datetime
    correlation_id: str | None
    _claimed: Claimed = field(repr=False)
    _database: Database = field(repr=False)
    _leases: Leases = field(repr=False)

    @property
    def last(self) -> bool:
        """Whether no attempt is left after this one."""
        return self.attempt >= self.max_attempts

    @asynccontextmanager
    async def finishing(self) -> AsyncGenerator[Any]:
        """Open a transaction that also ends the job: its writes are kept exactly once.

        Raises ``LeaseLost`` at the end of the block, and keeps nothing, when the job was cancelled or
        has gone to another worker.
        """
        async with self._database.transaction() as session:
            yield session
            connection = await session.connection()
            if not await connection.run_sync(self._leases.holds, self._claimed):
                raise LeaseLost(job_id=self.id)


Run = Callable[[dict[str, Any], JobContext], Any]
"""A coroutine function, or a plain one, which runs in a thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """Who does one kind of job, and how patiently."""

    kind: str
    run: Run
    queue: str = "default"
    timeout: float | None = None
    max_attempts: int | None = None
    backoff: Sequence[float] = ()
    """Seconds to wait before each retry; the last one repeats. Empty: doubling, as the settings say."""
    open: bool = False
    """Whether organizations may schedule it and read its payload."""


class Attempts:
    """Runs handlers."""

    def __init__(
        self,
        database: Database,
        leases: Leases,
        settings: JobsSettings,
        handlers: dict[str, Handler],
        metrics: Metrics | None,
    ) -> None:
        self._database = database
        self._leases = leases
        self._settings = settings
        self._handlers = handlers
        self._metrics = metrics

    async def make(self, job: Claimed, threads: Executor) -> Outcome | None:
        """Run the handler of ``job``; none when another worker owns the job by now."""
        began = time.perf_counter()
        outcome = await self._make(job, threads)
        if self._metrics:
            became = "lost" if outcome is None else "retry" if outcome.state == "waiting" else outcome.state
            known = job.kind if job.kind in self._handlers else "unknown"
            self._metrics.job(kind=known, outcome=became, seconds=time.perf_counter() - began)
        return outcome

    async def _make(self, job: Claimed, threads: Executor) -> Outcome | None:
        handler = self._handlers.get(job.kind)
        if handler is None:
            return self._dead(job, f"UnknownKind: no handler is registered for {job.kind!r}.")
        origin = Origin(request_id=job.correlation_id or job.id)
        limit = asyncio.timeout(job.timeout)
        outcome: Outcome | None = Outcome(job=job, state="done", attempts=job.attempts)
        with current.as_system(job.org_id, f"job:{job.kind}"), current.receiving(origin):
            try:
                async with limit:
                    await self._call(handler, job, threads)
            except LeaseLost:
                outcome = None
            except GiveUp as giving_up:
                outcome = self._dead(job, f"GiveUp: {giving_up}")
            except RetryLater as later:
                outcome = self._later(job, later)
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise  # the worker means this very job
                outcome = self._failed(job, handler, error)
            except Exception as error:  # noqa: BLE001 - a handler may raise anything
                late = isinstance(error, TimeoutError) and limit.expired()
                reason = TimeoutError(f"not done within {job.timeout:g} s") if late else error
                outcome = self._failed(job, handler, reason)
        return outcome

    async def _call(self, handler: Handler, job: Claimed, threads: Executor) -> None:
        context = JobContext(
            id=job.id,
            kind=job.kind,
            org_id=job.org_id,
            queue=job.queue,
            attempt=job.attempts,
            max_attempts=job.max_attempts,
            due=job.run_at,
            correlation_id=job.correlation_id,
            _claimed=job,
            _database=self._database,
            _leases=self._leases,
        )
        if any(map(inspect.iscoroutinefunction, (handler.run, type(handler.run).__call__))):
            await handler.run(job.payload, context)
            return
        loop = asyncio.get_running_loop()
        work = partial(handler.run, job.payload, context)
        result = await loop.run_in_executor(threads, copy_context().run, work)
        if inspect.isawaitable(result):  # a wrapper that hid its coroutine function
            await result

    def _failed(self, job: Claimed, handler: Handler, error: BaseException) -> Outcome:
        log.warning("job %s (%s) failed, attempt %d", job.id, job.kind, job.attempts, exc_info=error)
        text = describe(error)
        if job.attempts >= job.max_attempts:
            return self._dead(job, text)
        if handler.backoff:
            wait = handler.backoff[min(job.attempts, len(handler.backoff)) - 1]
        else:
            wait = min(self._settings.backoff * 2 ** (job.attempts - 1), self._settings.backoff_limit)
        wait *= _JITTER.uniform(0.9, 1.1)  # so that what failed together does not return together
        return Outcome(
            job=job,
            state="waiting",
            attempts=job.attempts,
            wait=wait,
            error=text,
            fingerprint=fingerprint(job.kind, text),
        )

    def _later(self, job: Claimed, later: RetryLater) -> Outcome:
        text = f"RetryLater: {later}"
        if later.spend and job.attempts >= job.max_attempts:
            return self._dead(job, text)
        return Outcome(
            job=job,
            state="waiting",
            attempts=job.attempts if later.spend else job.attempts - 1,
            wait=later.after,
            error=text,
            fingerprint=fingerprint(job.kind, text),
        )

    def _dead(self, job: Claimed, text: str) -> Outcome:
        return Outcome(
            job=job, state="dead", attempts=job.attempts, error=text, fingerprint=fingerprint(job.kind, text)
        )


def describe(error: BaseException) -> str:
    """Say what went wrong in one line: no stack, and no SQL, which drivers put on the lines below."""
    first = (str(error).splitlines() or [""])[0][:500]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def fingerprint(kind: str, text: str) -> str:
    """Give 16 letters that are the same for failures which differ only in ids, numbers and quoted words."""
    return hashlib.sha256(f"{kind}\n{_VARIABLE.sub('#', text)}".encode()).hexdigest()[:16]
