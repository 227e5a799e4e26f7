"""How work comes in: handlers by name, jobs in the caller's transaction, listeners that outlive a crash."""

import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from types import EllipsisType
from typing import Any

from bartizan.backbone.events import Envelope, Events
from bartizan.backbone.jobs.errors import HandlerTaken, PayloadRefused
from bartizan.backbone.jobs.events import JobDied
from bartizan.backbone.jobs.settings import JobsSettings
from bartizan.backbone.jobs.store import JobStore, leases
from bartizan.foundation import ids
from bartizan.foundation.capability import Event
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import current
from bartizan.foundation.database import Database
from bartizan.foundation.telemetry import Metrics

from .attempt import Attempts, Handler, JobContext, Run


class Intake:
    """The part of ``bz.jobs`` that takes work."""

    def __init__(
        self,
        database: Database,
        events: Events,
        settings: JobsSettings | None = None,
        *,
        clock: Clock,
        metrics: Metrics | None = None,
    ) -> None:
        self.settings = settings or JobsSettings()
        self._database = database
        self._events = events
        self._clock = clock
        self.leases = leases(database.kind, clock)
        self.handlers: dict[str, Handler] = {}
        self.wakers: set[Callable[[], None]] = set()
        self.tell: Callable[[], None] | None = None
        """Tells the other processes that there is work."""
        self.attempts = Attempts(database, self.leases, self.settings, self.handlers, metrics)

    def handler(
        self,
        kind: str,
        run: Run,
        *,
        queue: str = "default",
        timeout: float | None = None,
        max_attempts: int | None = None,
        backoff: Sequence[float] = (),
        open: bool = False,  # noqa: A002 - the word for it
    ) -> None:
        """Let ``run(payload, job)`` do the jobs of one kind; a plain function runs in a thread.

        ``timeout`` and ``backoff`` are in seconds; ``open`` kinds may be scheduled by organizations,
        who also see their payloads.
        """
        handler = Handler(
            kind=kind,
            run=run,
            queue=queue,
            timeout=timeout,
            max_attempts=max_attempts,
            backoff=tuple(backoff),
            open=open,
        )
        if self.handlers.setdefault(kind, handler) != handler:
            raise HandlerTaken(kind=kind)

    async def enqueue(
        self,
        kind: str,
        payload: dict[str, Any] | None = None,
        *,
        org_id: str | EllipsisType | None = ...,
        run_at: datetime | None = None,
        delay: float = 0.0,
        priority: int = 0,
        unique_key: str | None = None,
        max_attempts: int | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - of the job, not of this call
        queue: str | None = None,
    ) -> str:
        """Add a job in the caller's transaction: it exists if and only if that commits. Gives its id.

        Without ``org_id`` it belongs to the current organization, if there is one; none means the
        platform. It runs not before ``run_at``, or ``delay`` seconds from now. While a job with the same
        ``unique_key`` is waiting or running in the organization, that one's id is given instead.
        """
        values = self._values(kind, payload or {}, org_id, priority, queue)
        values["max_attempts"] = max_attempts or values["max_attempts"]
        values["timeout"] = timeout or values["timeout"]
        values["unique_key"] = unique_key
        async with self._database.transaction() as session:
            job_id = await JobStore(session, self.leases).add(values, delay=delay, run_at=run_at)
            self._database.after_commit(self.wake)
        return job_id

    async def enqueue_many(
        self,
        kind: str,
        payloads: Sequence[dict[str, Any]],
        *,
        org_id: str | EllipsisType | None = ...,
        priority: int = 0,
        queue: str | None = None,
    ) -> Sequence[str]:
        """Add one job for each payload, in the caller's transaction and few statements; gives their ids."""
        rows = [self._values(kind, payload, org_id, priority, queue) for payload in payloads]
        async with self._database.transaction() as session:
            await JobStore(session, self.leases).add_many(rows)
            self._database.after_commit(self.wake)
        return [row["id"] for row in rows]

    def on(
        self,
        what: type[Event] | str,
        handler: Callable[[dict[str, Any], JobContext], Awaitable[None]],
        *,
        name: str,
        queue: str = "default",
        timeout: float | None = None,
        max_attempts: int | None = None,
        backoff: Sequence[float] = (),
    ) -> None:
        """Do ``handler(envelope, job)`` for every event that matches, however often a process dies meanwhile.

        The job is added in the transaction that announces the event: one for each ``name`` and event.
        """
        kind = f"event:{name}"
        self.handler(kind, handler, queue=queue, timeout=timeout, max_attempts=max_attempts, backoff=backoff)

        async def listen(envelope: Envelope) -> None:
            # The dead letter of a listener is an event too: two that fail would keep each other busy.
            if not (isinstance(envelope.event, JobDied) and envelope.event.kind.startswith("event:")):
                await self.enqueue(
                    kind,
                    envelope.as_dict(),
                    org_id=envelope.tenant_id,
                    unique_key=f"{kind}:{envelope.id}",
                )

        self._events.within(what, listen)

    def wake(self) -> None:
        """Tell the workers that there is work, here and, where processes hear each other, elsewhere.

        Who is not told looks within ``poll`` seconds.
        """
        self.rouse()
        if self.tell is not None:
            self.tell()

    def rouse(self) -> None:
        """Tell the workers of this process alone."""
        for wake in self.wakers:
            wake()

    def is_open(self, kind: str) -> bool:
        """Tell whether organizations may schedule a kind of job and read its payload."""
        handler = self.handlers.get(kind)
        return handler is not None and handler.open

    def local_now(self) -> datetime:
        """Tell the time of this process, for what no other one compares with."""
        return self._clock.now()

    def _values(
        self,
        kind: str,
        payload: dict[str, Any],
        org_id: str | EllipsisType | None,
        priority: int,
        queue: str | None,
    ) -> dict[str, Any]:
        handler = self.handlers.get(kind) or Handler(kind=kind, run=_nobody)
        origin, caller = current.origin, current.anyone
        return {
            "id": ids.new("job"),
            "org_id": (caller.org_id if caller else None) if isinstance(org_id, EllipsisType) else org_id,
            "queue": queue or handler.queue,
            "kind": kind,
            "payload": self._checked(payload),
            "priority": priority,
            "attempts": 0,
            "max_attempts": handler.max_attempts or self.settings.attempts,
            "timeout": handler.timeout or self.settings.timeout,
            "unique_key": None,
            "correlation_id": origin.request_id if origin else None,
        }

    def _checked(self, payload: dict[str, Any]) -> dict[str, Any]:
        try:
            size = len(json.dumps(payload, allow_nan=False))
        except (TypeError, ValueError, RecursionError) as error:
            raise PayloadRefused(field="payload") from error
        if size > self.settings.payload_limit:
            raise PayloadRefused(field="payload", size=size, limit=self.settings.payload_limit)
        return payload


def _nobody(payload: dict[str, Any], job: JobContext) -> None:
    """Stand for a handler that this process lacks and another one has."""
