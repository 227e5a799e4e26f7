"""Schedules: what becomes a job again and again."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bartizan.backbone.events import Events
from bartizan.backbone.jobs.errors import (
    ScheduleFixed,
    ScheduleNameTaken,
    TooManySchedules,
    UnknownKind,
    UnknownSchedule,
)
from bartizan.backbone.jobs.events import (
    ScheduleCreated,
    ScheduleDeleted,
    SchedulePaused,
    ScheduleResumed,
    ScheduleStarted,
)
from bartizan.backbone.jobs.store import JobStore, ScheduleStore
from bartizan.backbone.jobs.tables import PLATFORM, ScheduleRow
from bartizan.backbone.jobs.types import CatchUp, NewSchedule, Schedule
from bartizan.foundation import ids
from bartizan.foundation.context import current
from bartizan.foundation.database import Database
from bartizan.foundation.pages import Cursor, Limit, Page, cut, decode

from .access import READ, WRITE, scope
from .intake import Intake
from .rhythm import next_after


@dataclass(frozen=True, slots=True, kw_only=True)
class _Declared:
    name: str
    kind: str
    cron: str | None
    every: float | None
    zone: str
    catch_up: CatchUp
    payload: dict[str, Any]

    def same(self, row: ScheduleRow) -> bool:
        return (self.cron, self.every, self.zone) == (row.cron, row.every, row.zone)


class Schedules:
    """Cron and intervals, in the same table on every replica: ``bz.jobs.schedules``."""

    def __init__(self, database: Database, events: Events, intake: Intake) -> None:
        self._database = database
        self._events = events
        self._intake = intake
        self._declared: dict[str, _Declared] = {}

    def declare(
        self,
        name: str,
        kind: str,
        *,
        cron: str | None = None,
        every: float | None = None,
        zone: str = "UTC",
        catch_up: CatchUp = "skip",
        payload: dict[str, Any] | None = None,
    ) -> None:
        """Let the platform do ``kind`` by ``cron`` (five fields, in ``zone``) or ``every`` so many seconds.

        Call it while the application is put together. Workers bring the table up to date when they
        start; whether it is active stays as operators left it.
        """
        declared = _Declared(
            name=name, kind=kind, cron=cron, every=every, zone=zone, catch_up=catch_up, payload=payload or {}
        )
        self._next(declared, self._intake.local_now(), self._intake.local_now())
        self._declared[name] = declared

    async def publish(self) -> None:
        """Write what the program declares to the table; workers do at their start."""
        for declared in self._declared.values():
            async with self._database.transaction() as session:
                now = await JobStore(session, self._intake.leases).now()
                store = ScheduleStore(session, PLATFORM)
                await store.ensure(self._row(declared, now, None, fixed=True))
                row = await store.named(declared.name)
                if row is None:
                    continue
                if not declared.same(row):
                    row.next_run = self._next(declared, now, now)
                row.kind, row.payload, row.catch_up = declared.kind, declared.payload, declared.catch_up
                row.cron, row.every, row.zone = declared.cron, declared.every, declared.zone

    async def fire(self) -> datetime | None:
        """Turn schedules whose time has come into jobs, once over all replicas; give the next moment."""
        fixed = sorted(self._declared)
        async with self._database.transaction() as session:
            now = await JobStore(session, self._intake.leases).now()
            store = ScheduleStore(session)
            for row in await store.due(now, fixed):
                missed = (now - row.next_run).total_seconds() > self._intake.settings.misfire
                fires = not (missed and row.catch_up == "skip")
                if (
                    await store.advance(row, self._next(row, now, row.next_run), now if fires else None)
                    and fires
                ):
                    await self._start(row)
            return await store.next_due(fixed)

    async def overdue(self) -> float | None:
        """Tell for how many seconds a schedule has waited for a worker; none if none was ever published."""
        async with self._database.reading() as session:
            now = await JobStore(session, self._intake.leases).now()
            due = await ScheduleStore(session).next_due(sorted(self._declared))
        return None if due is None else max(0.0, (now - due).total_seconds())

    async def list(
        self, *, everywhere: bool = False, limit: Limit = 50, cursor: Cursor = None
    ) -> Page[Schedule]:
        """List the schedules of this organization; operators may ask for those of everyone."""
        lane = scope(READ, everywhere=everywhere)
        async with self._database.reading() as session:
            rows = await ScheduleStore(session, lane).all(decode(cursor)[0] if cursor else None, limit + 1)
            page, following = cut(rows, limit, lambda row: [row.id])
            return Page(items=[Schedule.model_validate(row) for row in page], next=following)

    async def create(self, new: NewSchedule) -> Schedule:
        """Create a schedule of this organization, for a kind of job that is open to organizations."""
        current.require(WRITE)
        if not self._intake.is_open(new.kind):
            raise UnknownKind(field="kind", kind=new.kind)
        async with self._database.transaction() as session:
            store = ScheduleStore(session, current.org_id)
            now = await JobStore(session, self._intake.leases).now()
            limit = self._intake.settings.schedules_per_organization
            if await store.count() >= limit:
                raise TooManySchedules(limit=limit)
            row = self._row(new, now, current.org_id, fixed=False)
            if not await store.ensure(row):
                raise ScheduleNameTaken(name=new.name)
            await self._events.announce(
                ScheduleCreated(schedule_id=row["id"], schedule_name=new.name, kind=new.kind)
            )
        return Schedule.model_validate(ScheduleRow(**row))

    async def pause(self, schedule_id: str, *, everywhere: bool = False) -> Schedule:
        """Let a schedule fire no more until it is resumed."""
        async with self._database.transaction() as session:
            row = await self._find(ScheduleStore(session, scope(WRITE, everywhere=everywhere)), schedule_id)
            if row.active:
                row.active = False
                await self._events.announce(SchedulePaused(schedule_id=row.id), org_id=row.org_id)
            return Schedule.model_validate(row)

    async def resume(self, schedule_id: str, *, everywhere: bool = False) -> Schedule:
        """Let a paused schedule fire again, from its next run on; what it missed is not made up for."""
        async with self._database.transaction() as session:
            row = await self._find(ScheduleStore(session, scope(WRITE, everywhere=everywhere)), schedule_id)
            if not row.active:
                now = await JobStore(session, self._intake.leases).now()
                row.active, row.next_run = True, self._next(row, now, row.next_run)
                await self._events.announce(ScheduleResumed(schedule_id=row.id), org_id=row.org_id)
            return Schedule.model_validate(row)

    async def run_now(self, schedule_id: str, *, everywhere: bool = False) -> str:
        """Start the work of a schedule at once, beside its rhythm; gives the id of the job."""
        async with self._database.transaction() as session:
            row = await self._find(ScheduleStore(session, scope(WRITE, everywhere=everywhere)), schedule_id)
            job_id = await self._start(row)
            await self._events.announce(ScheduleStarted(schedule_id=row.id, job_id=job_id), org_id=row.org_id)
            return job_id

    async def delete(self, schedule_id: str) -> None:
        """Delete a schedule of this organization."""
        current.require(WRITE)
        async with self._database.transaction() as session:
            store = ScheduleStore(session, current.org_id)
            row = await self._find(store, schedule_id)
            if row.fixed:
                raise ScheduleFixed(schedule_id=schedule_id)
            await store.delete(schedule_id)
            await self._events.announce(ScheduleDeleted(schedule_id=schedule_id))

    async def _find(self, store: ScheduleStore, schedule_id: str) -> ScheduleRow:
        if (row := await store.find(schedule_id)) is None:
            raise UnknownSchedule(schedule_id=schedule_id)
        return row

    async def _start(self, row: ScheduleRow) -> str:
        # One at a time: while the last run is not over, the next one adds nothing to it.
        key = f"schedule:{row.id}"
        return await self._intake.enqueue(row.kind, row.payload, org_id=row.org_id, unique_key=key)

    def _row(
        self, new: NewSchedule | _Declared, now: datetime, org_id: str | None, *, fixed: bool
    ) -> dict[str, Any]:
        return {
            "id": ids.new("sch"),
            "org_id": org_id,
            "lane": org_id or PLATFORM,
            "name": new.name,
            "kind": new.kind,
            "payload": new.payload,
            "cron": new.cron,
            "every": new.every,
            "zone": new.zone,
            "catch_up": new.catch_up,
            "fixed": fixed,
            "active": True,
            "next_run": self._next(new, now, now),
            "last_run": None,
            "created_at": now,
        }

    def _next(
        self, what: NewSchedule | _Declared | ScheduleRow, moment: datetime, start: datetime
    ) -> datetime:
        return next_after(moment, cron=what.cron, every=what.every, zone=what.zone, start=start)
