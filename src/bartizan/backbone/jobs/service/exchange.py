"""What workers exchange with the table."""

import logging
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial

from bartizan.backbone.events import Events
from bartizan.backbone.jobs.events import JobDied
from bartizan.backbone.jobs.store import JobStore, Leases
from bartizan.backbone.jobs.types import Claimed, Outcome, Turn, Wish
from bartizan.foundation.context import Origin, current
from bartizan.foundation.database import Database

from .intake import Intake
from .schedules import Schedules

log = logging.getLogger(__name__)


class Exchange:
    """Claims, heartbeats, outcomes and the upkeep that any worker may do for all."""

    def __init__(self, database: Database, events: Events, intake: Intake, schedules: Schedules) -> None:
        self._database = database
        self._events = events
        self._intake = intake
        self._schedules = schedules

    async def attempt(self, job: Claimed, threads: Executor) -> Outcome | None:
        """Make one attempt at a job; none when its lease was lost."""
        return await self._intake.attempts.make(job, threads)

    async def turn(self, outcomes: Sequence[Outcome], wish: Wish) -> Turn:
        """Write what became of attempts and claim further jobs, in one commit."""
        for outcome in outcomes:
            if outcome.state == "dead":
                await self._bury(outcome)
        settings = self._intake.settings
        unit = partial(
            self._intake.leases.turn,
            outcomes=[outcome for outcome in outcomes if outcome.state != "dead"],
            wish=wish,
            cap=settings.per_organization,
            lease=settings.lease,
        )
        return await self._database.write(unit)

    async def renew(self, tokens: Sequence[str]) -> set[str]:
        """Prolong leases; give the ids of the jobs that are still held."""
        leases, lease = self._intake.leases, self._intake.settings.lease
        return await self._database.write(lambda connection: leases.renew(connection, tokens, lease))

    async def upkeep(self) -> tuple[float | None, Sequence[str]]:
        """Take jobs from silent workers, let waiting ones run, fire schedules.

        Gives the seconds until the next of these is due, and the queues with work.
        """
        fires = await self._schedules.fire()
        async with self._database.transaction() as session:
            store = JobStore(session, self._intake.leases)
            now = await store.now()
            dead = await store.reclaim(now)
            await store.release(now)
            for job_id, org_id, kind, attempts in dead:
                await self._died(job_id, org_id, kind, attempts, "Its worker fell silent at every attempt.")
            moments = [moment for moment in (fires, await store.next_due()) if moment]
            wait = min((moment - now).total_seconds() for moment in moments) if moments else None
            return wait, await store.queues()

    async def _bury(self, outcome: Outcome) -> None:
        job, leases = outcome.job, self._intake.leases
        origin = Origin(request_id=job.correlation_id or job.id)
        with current.receiving(origin):
            await self._end(job, outcome, leases)

    async def _end(self, job: Claimed, outcome: Outcome, leases: Leases) -> None:
        async with self._database.transaction() as session:
            connection = await session.connection()
            now = await connection.run_sync(leases.now)
            if await connection.run_sync(leases.finish, [outcome], now):
                await self._died(job.id, job.org_id, job.kind, outcome.attempts, outcome.error or "")

    async def _died(self, job_id: str, org_id: str | None, kind: str, attempts: int, reason: str) -> None:
        log.error("job %s (%s) is dead after %d attempts: %s", job_id, kind, attempts, reason)
        event = JobDied(job_id=job_id, kind=kind, attempts=attempts, reason=reason)
        with current.as_system(org_id, "worker"):
            await self._events.announce(event, org_id=org_id)

    def queues(self) -> set[str]:
        """List the queues that handlers name."""
        return {handler.queue for handler in self._intake.handlers.values()} | {"default"}
