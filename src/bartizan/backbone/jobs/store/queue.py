"""Queries about jobs."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Interval,
    Select,
    case,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from bartizan.backbone.jobs.tables import PLATFORM, JobRow
from bartizan.foundation.database import UtcDateTime, insert_into

from .leases import Leases

LIVE = ("waiting", "ready", "leased")
_QUEUES = text(
    """WITH RECURSIVE q(name) AS (SELECT min(queue) FROM bz_jobs WHERE state = 'ready'
 UNION ALL SELECT (SELECT min(queue) FROM bz_jobs WHERE state = 'ready' AND queue > q.name) FROM q
 WHERE q.name IS NOT NULL) SELECT name FROM q WHERE name IS NOT NULL"""
)


class JobStore:
    """The jobs of one organization, or (``org_id`` none, ``everywhere``) of all."""

    def __init__(self, session: AsyncSession, leases: Leases, lane: str | None = None) -> None:
        self._session = session
        self._leases = leases
        self._lane = lane

    async def now(self) -> datetime:
        """Tell the time that leases go by."""
        return await (await self._session.connection()).run_sync(self._leases.now)

    async def add(self, values: dict[str, Any], *, delay: float, run_at: datetime | None) -> str:
        """Insert one job; give its id, or that of the live job with the same unique key."""
        present = self._present()
        values |= {
            "lane": values["org_id"] or PLATFORM,
            "state": "waiting" if delay or run_at else "ready",
            "run_at": run_at or self._later(present, delay),
            "created_at": present,
        }
        if values["unique_key"] is None:
            await self._session.execute(insert(JobRow).values(values))
            return str(values["id"])
        while True:
            # The job in the way may end between the two statements: then there is room for this one.
            added = (
                insert_into(self._session, JobRow)
                .values(values)
                .on_conflict_do_nothing()
                .returning(JobRow.id)
            )
            made: str | None = await self._session.scalar(added)
            if made is not None:
                return made
            if id_ := await self._session.scalar(self._same(values["lane"], values["unique_key"])):
                return id_

    async def add_many(self, rows: Sequence[dict[str, Any]]) -> None:
        """Insert jobs that may run at once."""
        if rows:
            now = await self.now()
            same = {"state": "ready", "run_at": now, "created_at": now}
            jobs = [{**row, **same, "lane": row["org_id"] or PLATFORM} for row in rows]
            await self._session.execute(insert(JobRow), jobs)

    async def release(self, now: datetime) -> None:
        """Let jobs run whose time has come."""
        due = (
            select(JobRow.id)
            .where(text("state = 'waiting'"), JobRow.run_at <= now)
            .order_by(JobRow.run_at)
            .limit(1000)
            .with_for_update(skip_locked=True)
        )
        await self._session.execute(
            update(JobRow)
            .where(JobRow.id.in_(due.scalar_subquery()))
            .values(state="ready")
            .execution_options(synchronize_session=False)
        )

    async def reclaim(self, now: datetime) -> Sequence[tuple[str, str | None, str, int]]:
        """Take jobs from workers that fell silent; give those that had no attempt left, and are dead."""
        lost = (
            select(JobRow.id)
            .where(text("state = 'leased'"), JobRow.lease_until < now)
            .limit(1000)
            .with_for_update(skip_locked=True)
        )
        error = "Its worker fell silent: it was killed, or the job blocked it for longer than the lease."
        changed = await self._session.execute(
            update(JobRow)
            .where(JobRow.id.in_(lost.scalar_subquery()))
            .values(
                state=case((JobRow.attempts >= JobRow.max_attempts, "dead"), else_="ready"),
                finished_at=case((JobRow.attempts >= JobRow.max_attempts, literal(now, UtcDateTime()))),
                lease_until=None,
                lease_token=None,
                last_error=error,
                fingerprint="silent",
            )
            .returning(JobRow.id, JobRow.org_id, JobRow.kind, JobRow.attempts, JobRow.state)
            .execution_options(synchronize_session=False)
        )
        return [
            (id_, org_id, kind, attempts) for id_, org_id, kind, attempts, state in changed if state == "dead"
        ]

    async def next_due(self) -> datetime | None:
        """Tell when the next waiting job may run."""
        return await self._session.scalar(select(func.min(JobRow.run_at)).where(text("state = 'waiting'")))

    async def queues(self) -> Sequence[str]:
        """List the queues with ready work: one index probe each."""
        connection = await self._session.connection()
        return await connection.run_sync(lambda inner: inner.scalars(_QUEUES).all())

    async def find(self, job_id: str) -> JobRow | None:
        """Find one job."""
        return await self._session.scalar(self._mine().where(JobRow.id == job_id))

    async def page(
        self, *, state: str | None, kind: str | None, before: str | None, limit: int
    ) -> Sequence[JobRow]:
        """List jobs, newest first."""
        query = self._mine().order_by(JobRow.id.desc()).limit(limit)
        if state:
            query = query.where(JobRow.state == state)
        if kind:
            query = query.where(JobRow.kind == kind)
        if before:
            query = query.where(JobRow.id < before)
        return (await self._session.scalars(query)).all()

    async def failures(self, limit: int) -> Sequence[Any]:
        """Group the dead by how they failed, the commonest first."""
        count = func.count()
        query = (
            select(
                JobRow.kind,
                JobRow.fingerprint,
                count.label("count"),
                func.min(JobRow.finished_at).label("first"),
                func.max(JobRow.finished_at).label("last"),
                func.max(JobRow.last_error).label("error"),
            )
            .where(text("state = 'dead'"), *self._scope())
            .group_by(JobRow.kind, JobRow.fingerprint)
            .order_by(count.desc(), JobRow.kind, JobRow.fingerprint)
            .limit(limit)
        )
        return (await self._session.execute(query)).all()

    async def revive(self, job_id: str) -> bool:
        """Make one dead or cancelled job ready again, with all its attempts."""
        return await self._revive(JobRow.id == job_id, JobRow.state.in_(("dead", "cancelled"))) == 1

    async def revive_dead(self, kind: str | None, fingerprint: str | None, limit: int) -> int:
        """Make dead jobs ready again."""
        return await self._revive(JobRow.id.in_(self._dead(kind, fingerprint, limit)))

    async def purge_dead(self, kind: str | None, fingerprint: str | None, limit: int) -> int:
        """Delete dead jobs."""
        dead = self._dead(kind, fingerprint, limit)
        return _count(await self._session.execute(delete(JobRow).where(JobRow.id.in_(dead))))

    async def cancel(self, job_id: str, now: datetime) -> bool:
        """Cancel a job that is not over; its worker loses the lease, and learns so at its next heartbeat."""
        return (
            await self._change(
                [JobRow.id == job_id, JobRow.state.in_(LIVE)],
                state="cancelled",
                lease_token=None,
                lease_until=None,
                finished_at=now,
            )
            == 1
        )

    async def sweep(self, states: Sequence[str], before: datetime, limit: int) -> int:
        """Delete up to ``limit`` finished jobs that ended before a moment."""
        old = (
            select(JobRow.id)
            .where(
                text("state IN ('done', 'dead', 'cancelled')"),
                JobRow.state.in_(states),
                JobRow.finished_at < before,
            )
            .order_by(JobRow.finished_at)
            .limit(limit)
        )
        return _count(await self._session.execute(delete(JobRow).where(JobRow.id.in_(old))))

    async def numbers(self) -> dict[str, Any]:
        """Count by state; each count reads only the small index of its state."""

        def counted(state: str, *more: ColumnElement[bool]) -> Any:
            return (
                select(func.count())
                .select_from(JobRow)
                .where(text(f"state = '{state}'"), *self._scope(), *more)
                .scalar_subquery()
            )

        again = JobRow.attempts > 0
        oldest = (
            select(func.min(JobRow.run_at)).where(text("state = 'ready'"), *self._scope()).scalar_subquery()
        )
        query = select(
            counted("waiting") + counted("ready"),
            counted("leased"),
            counted("waiting", again) + counted("ready", again),
            counted("dead"),
            oldest,
        )
        pending, running, failed, dead, due = (await self._session.execute(query)).one()
        return {"pending": pending, "running": running, "failed": failed, "dead": dead, "oldest": due}

    async def latencies(self) -> Sequence[tuple[float, float]]:
        """Give seconds from due to begun and from begun to done, of the latest jobs done."""
        query = select(JobRow.run_at, JobRow.started_at, JobRow.finished_at).where(
            text("state = 'done' AND state IN ('done', 'dead', 'cancelled')"), *self._scope()
        )
        latest = JobRow.id if self._lane else JobRow.finished_at
        rows = (await self._session.execute(query.order_by(latest.desc()).limit(1000))).all()
        return [
            ((started - due).total_seconds(), (finished - started).total_seconds())
            for due, started, finished in rows
            if started and finished
        ]

    async def _revive(self, *conditions: ColumnElement[bool]) -> int:
        # A live job may have taken the unique key meanwhile, so the old one runs without it.
        return await self._change(
            conditions,
            state="ready",
            attempts=0,
            run_at=self._present(),
            unique_key=None,
            finished_at=None,
            started_at=None,
        )

    async def _change(self, conditions: Sequence[ColumnElement[bool]], **values: Any) -> int:
        statement = update(JobRow).where(*conditions, *self._scope()).values(**values)
        return _count(await self._session.execute(statement.execution_options(synchronize_session=False)))

    def _dead(self, kind: str | None, fingerprint: str | None, limit: int) -> Select[str]:
        query = (
            select(JobRow.id).where(text("state = 'dead'"), *self._scope()).order_by(JobRow.id).limit(limit)
        )
        if kind:
            query = query.where(JobRow.kind == kind)
        if fingerprint:
            query = query.where(JobRow.fingerprint == fingerprint)
        return query

    def _same(self, lane: str, key: str) -> Select[str]:
        live = text("state IN ('waiting', 'ready', 'leased') AND unique_key IS NOT NULL")
        return select(JobRow.id).where(JobRow.lane == lane, JobRow.unique_key == key, live)

    def _mine(self) -> Select[JobRow]:
        return select(JobRow).where(*self._scope())

    def _scope(self) -> list[ColumnElement[bool]]:
        return [JobRow.lane == self._lane] if self._lane else []

    def _present(self) -> Any:
        if self._leases.server_clock:
            return func.now(type_=UtcDateTime())
        return self._leases.local_now()

    def _later(self, present: Any, delay: float) -> Any:
        if not delay:
            return present
        wait = timedelta(seconds=delay)
        return present + wait if isinstance(present, datetime) else func.now() + literal(wait, Interval())


def _count(result: Any) -> int:
    assert isinstance(result, CursorResult)
    return result.rowcount
