"""What people do about jobs: look, retry, cancel, purge."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import Field

from bartizan.backbone.events import Events
from bartizan.backbone.jobs.errors import JobFinished, JobNotRetriable, UnknownJob
from bartizan.backbone.jobs.events import DeadJobsPurged, DeadJobsRetried, JobCancelled, JobRetried
from bartizan.backbone.jobs.settings import JobsSettings
from bartizan.backbone.jobs.store import JobStore
from bartizan.backbone.jobs.tables import JobRow
from bartizan.backbone.jobs.types import (
    Affected,
    CatchUp,
    Counts,
    Failure,
    Job,
    JobDetail,
    State,
    percentile,
)
from bartizan.foundation.clock import Clock
from bartizan.foundation.database import Database
from bartizan.foundation.pages import Cursor, Limit, Page, cut, decode
from bartizan.foundation.telemetry import Metrics

from .access import READ, WRITE, scope
from .attempt import JobContext
from .exchange import Exchange
from .intake import Intake
from .schedules import Schedules

Kind = Annotated[str | None, Field(max_length=120, description="Only jobs of this kind.")]
Fingerprint = Annotated[str | None, Field(max_length=16, description="Only jobs that failed in this way.")]
_BATCH = 1000


class Jobs(Intake):
    """Work done later, in the application's own database: ``bz.jobs``."""

    def __init__(
        self,
        database: Database,
        events: Events,
        settings: JobsSettings | None = None,
        *,
        clock: Clock,
        metrics: Metrics | None = None,
    ) -> None:
        super().__init__(database, events, settings, clock=clock, metrics=metrics)
        self.schedules = Schedules(database, events, self)
        self.exchange = Exchange(database, events, self, self.schedules)
        self.handler("jobs.sweep", self.sweep, timeout=600)
        self.schedule("jobs.sweep", cron="17 * * * *", kind="jobs.sweep", catch_up="once")

    def schedule(
        self,
        name: str,
        *,
        kind: str,
        cron: str | None = None,
        every: float | None = None,
        zone: str = "UTC",
        payload: dict[str, Any] | None = None,
        catch_up: CatchUp = "skip",
    ) -> None:
        """Declare a schedule of the platform; see ``Schedules.declare``."""
        self.schedules.declare(
            name, kind, cron=cron, every=every, zone=zone, payload=payload, catch_up=catch_up
        )

    async def list(
        self,
        *,
        state: State | None = None,
        kind: Kind = None,
        everywhere: bool = False,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[Job]:
        """List the jobs of this organization, newest first; operators may ask for those of everyone."""
        lane = scope(READ, everywhere=everywhere)
        before = decode(cursor)[0] if cursor else None
        async with self._database.reading() as session:
            store = JobStore(session, self.leases, lane)
            rows = await store.page(state=state, kind=kind, before=before, limit=limit + 1)
            page, following = cut(rows, limit, lambda row: [row.id])
            return Page(items=[Job.model_validate(row) for row in page], next=following)

    async def get(self, job_id: str, *, everywhere: bool = False) -> JobDetail:
        """Show one job."""
        lane = scope(READ, everywhere=everywhere)
        async with self._database.reading() as session:
            row = await self._find(JobStore(session, self.leases, lane), job_id)
            # A payload may carry what is meant for one person, such as a link to reset a password.
            payload = row.payload if self.is_open(row.kind) else None
            return JobDetail(**Job.model_validate(row).model_dump(), payload=payload)

    async def counts(self, *, everywhere: bool = False) -> Counts:
        """Count pending, running, failed and dead jobs, and tell how quickly the latest were done."""
        lane = scope(READ, everywhere=everywhere)
        async with self._database.reading() as session:
            store = JobStore(session, self.leases, lane)
            numbers = await store.numbers()
            latencies = await store.latencies()
            now = await store.now()
        oldest: datetime | None = numbers.pop("oldest")
        waits, runs = [wait for wait, _ in latencies], [run for _, run in latencies]
        return Counts(
            **numbers,
            oldest=(now - oldest).total_seconds() if oldest else None,
            wait_p50=percentile(waits, 0.5),
            wait_p95=percentile(waits, 0.95),
            run_p50=percentile(runs, 0.5),
            run_p95=percentile(runs, 0.95),
        )

    async def failures(self, *, everywhere: bool = False, limit: Limit = 50) -> Page[Failure]:
        """Group dead jobs by how they failed, the commonest first."""
        lane = scope(READ, everywhere=everywhere)
        async with self._database.reading() as session:
            rows = await JobStore(session, self.leases, lane).failures(limit)
            return Page(items=[Failure.model_validate(row) for row in rows])

    async def retry(self, job_id: str, *, everywhere: bool = False) -> Job:
        """Send one dead or cancelled job round again, with all its attempts and without its unique key."""
        lane = scope(WRITE, everywhere=everywhere)
        async with self._database.transaction() as session:
            store = JobStore(session, self.leases, lane)
            if not await store.revive(job_id):
                raise JobNotRetriable(job_id=(await self._find(store, job_id)).id)
            row = await self._find(store, job_id)
            await self._events.announce(JobRetried(job_id=job_id, kind=row.kind), org_id=row.org_id)
            self._database.after_commit(self.wake)
            return Job.model_validate(row)

    async def retry_all(
        self, *, kind: Kind = None, fingerprint: Fingerprint = None, everywhere: bool = False
    ) -> Affected:
        """Send every dead job round again, or those of one kind or failure; 1,000 in one transaction."""
        lane, count = scope(WRITE, everywhere=everywhere), 0
        while True:
            async with self._database.transaction() as session:
                store = JobStore(session, self.leases, lane)
                if some := await store.revive_dead(kind, fingerprint, _BATCH):
                    await self._events.announce(DeadJobsRetried(count=some, kind=kind), org_id=lane)
                    self._database.after_commit(self.wake)
            count += some
            if some < _BATCH:
                return Affected(count=count)

    async def purge(
        self, *, kind: Kind = None, fingerprint: Fingerprint = None, everywhere: bool = False
    ) -> Affected:
        """Throw dead jobs away, all or those of one kind or failure; 1,000 in one transaction."""
        lane, count = scope(WRITE, everywhere=everywhere), 0
        while True:
            async with self._database.transaction() as session:
                store = JobStore(session, self.leases, lane)
                if some := await store.purge_dead(kind, fingerprint, _BATCH):
                    await self._events.announce(DeadJobsPurged(count=some, kind=kind), org_id=lane)
            count += some
            if some < _BATCH:
                return Affected(count=count)

    async def cancel(self, job_id: str, *, everywhere: bool = False) -> Job:
        """Cancel a job; one that is running is stopped at its worker's next heartbeat."""
        lane = scope(WRITE, everywhere=everywhere)
        async with self._database.transaction() as session:
            store = JobStore(session, self.leases, lane)
            if not await store.cancel(job_id, await store.now()):
                raise JobFinished(job_id=(await self._find(store, job_id)).id)
            row = await self._find(store, job_id)
            await self._events.announce(JobCancelled(job_id=job_id, kind=row.kind), org_id=row.org_id)
            return Job.model_validate(row)

    async def sweep(self, payload: dict[str, Any], job: JobContext) -> None:  # noqa: ARG002 - a handler
        """Delete jobs that ended long ago, as the settings say; a schedule does this every hour."""
        ages = ((("done", "cancelled"), self.settings.keep_done), (("dead",), self.settings.keep_dead))
        for states, days in ages:
            some = _BATCH
            while some == _BATCH:
                async with self._database.transaction() as session:
                    store = JobStore(session, self.leases)
                    before = await store.now() - timedelta(days=days)
                    some = await store.sweep(states, before, _BATCH)

    async def _find(self, store: JobStore, job_id: str) -> JobRow:
        if (row := await store.find(job_id)) is None:
            raise UnknownJob(job_id=job_id)
        return row
