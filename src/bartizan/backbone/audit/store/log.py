"""Queries about the audit log."""

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    LargeBinary,
    Select,
    bindparam,
    delete,
    insert,
    or_,
    select,
    text,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from bartizan.backbone.audit.errors import AuditUnavailable
from bartizan.backbone.audit.tables import AuditDisclosureRow, AuditEventRow, AuditLogRow, AuditSubjectKeyRow
from bartizan.backbone.audit.types import AuditQuery
from bartizan.foundation.database import UtcDateTime
from bartizan.foundation.errors import Unavailable

_INSERT_EVENTS = insert(AuditEventRow)
_INSERT_DISCLOSURES = insert(AuditDisclosureRow)
_OPEN_LOG = text(
    "INSERT INTO bz_audit_logs (log_id, org_id, origin, created_at) "
    "VALUES (:log_id, :org_id, :origin, :created_at) ON CONFLICT (log_id) DO NOTHING"
).bindparams(bindparam("created_at", type_=UtcDateTime()))
_ADD_KEY = text(
    "INSERT INTO bz_audit_subject_keys (subject_id, wrapped, created_at) "
    "VALUES (:subject_id, :wrapped, :created_at) ON CONFLICT (subject_id) DO NOTHING"
).bindparams(bindparam("wrapped", type_=LargeBinary()), bindparam("created_at", type_=UtcDateTime()))
_FORGET_KEY = text(
    "INSERT INTO bz_audit_subject_keys (subject_id, created_at, erased_at) VALUES (:subject_id, :now, :now) "
    "ON CONFLICT (subject_id) DO UPDATE SET wrapped = NULL, erased_at = excluded.erased_at"
).bindparams(bindparam("now", type_=UtcDateTime()))

_TRIGGERS = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'bz_audit_events'",
    "postgresql": "SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass('bz_audit_events')"
    " AND NOT tgisinternal AND tgenabled IN ('O', 'A')",
}

_GUARDS = {
    "sqlite": ("bz_audit_events_no_delete", "bz_audit_events_no_update"),
    "postgresql": ("bz_audit_events_no_change", "bz_audit_events_no_truncate"),
}


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows ready to be inserted together."""

    events: Sequence[Mapping[str, Any]]
    disclosures: Sequence[Mapping[str, Any]] = ()
    logs: Sequence[Mapping[str, Any]] = ()
    """Logs that may not exist yet, in one order for everybody."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One record as it lies in the database."""

    row: AuditEventRow
    sealed: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """Sealed disclosures by subject."""


@contextmanager
def unavailable() -> Generator[None]:
    """Turn whatever the database says no with into the room's own fault."""
    try:
        yield
    except (SQLAlchemyError, OSError, Unavailable) as error:
        raise AuditUnavailable from error


def unit(batch: Batch) -> Callable[[Connection], None]:
    """Give the plain function that inserts a batch, alone or in company."""

    def write(connection: Connection) -> None:
        if batch.logs:
            connection.execute(_OPEN_LOG, batch.logs)
        connection.execute(_INSERT_EVENTS, batch.events)
        if batch.disclosures:
            connection.execute(_INSERT_DISCLOSURES, batch.disclosures)

    return write


class AuditWriter:
    """What is written and read, whichever the log."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def write(self, batch: Batch) -> None:
        """Insert a batch in this transaction."""
        with unavailable():
            await (await self._session.connection()).run_sync(unit(batch))

    async def keys(self, subjects: Collection[str]) -> dict[str, bytes | None]:
        """Give the wrapped keys there are; none stands for an erased one."""

        def read(connection: Connection) -> dict[str, bytes | None]:
            statement = select(AuditSubjectKeyRow.subject_id, AuditSubjectKeyRow.wrapped)
            found = connection.execute(statement.where(AuditSubjectKeyRow.subject_id.in_(subjects)))
            return {row.subject_id: row.wrapped for row in found}

        with unavailable():
            return await (await self._session.connection()).run_sync(read)

    async def add_keys(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add keys of new subjects; where another transaction was quicker, its key stays."""
        with unavailable():
            await (await self._session.connection()).run_sync(lambda c: c.execute(_ADD_KEY, rows))

    async def erase(self, subject_id: str, now: datetime) -> int:
        """Drop a subject's key and sealed details; say how many records had any."""

        def drop(connection: Connection) -> int:
            connection.execute(_FORGET_KEY, {"subject_id": subject_id, "now": now})
            return connection.execute(
                delete(AuditDisclosureRow).where(AuditDisclosureRow.subject_id == subject_id)
            ).rowcount

        return await (await self._session.connection()).run_sync(drop)

    async def existing(self, event_ids: Collection[str]) -> set[str]:
        """Tell which of these records are written already."""
        with unavailable():
            found = await self._session.scalars(
                select(AuditEventRow.id).where(AuditEventRow.id.in_(event_ids))
            )
            return set(found)

    async def latest(self, limit: int) -> Sequence[Stored]:
        """Give the records written last, whichever the log, without their details."""
        rows = await self._session.scalars(
            select(AuditEventRow).order_by(AuditEventRow.number.desc()).limit(limit)
        )
        return [Stored(row) for row in rows]

    async def unguarded(self) -> Sequence[str]:
        """Name the triggers that ought to stand on the table of records and do not, or are switched off."""
        kind = (await self._session.connection()).dialect.name
        found = set(await self._session.scalars(text(_TRIGGERS[kind])))
        return [name for name in _GUARDS[kind] if name not in found]

    async def requests(self, limit: int) -> Sequence[tuple[str, str]]:
        """List each method and path of the newest rows once, whichever the log."""
        row = AuditEventRow
        newest = select(row.method, row.path).order_by(row.number.desc()).limit(limit).subquery()
        found = await self._session.execute(
            select(newest.c.method, newest.c.path)
            .where(newest.c.method.is_not(None), newest.c.path.is_not(None))
            .distinct()
            .order_by(newest.c.path, newest.c.method)
        )
        return [(method, path) for method, path in found]


class AuditStore:
    """The records of one log."""

    def __init__(self, session: AsyncSession, log_id: str) -> None:
        self._session = session
        self._log_id = log_id

    async def find(self, event_id: str) -> Stored | None:
        """Find one record."""
        row = await self._session.scalar(self._mine().where(AuditEventRow.id == event_id))
        return None if row is None else (await self._with_details([row]))[0]

    async def newest(
        self,
        query: AuditQuery,
        *,
        ip_macs: Sequence[str] | None,
        before: tuple[datetime, str] | None,
        limit: int,
    ) -> Sequence[Stored]:
        """List newest first what matches, from below a moment and id."""
        statement = self._matching(query, ip_macs).order_by(
            AuditEventRow.occurred_at.desc(), AuditEventRow.id.desc()
        )
        if before is not None:
            moment, event_id = before
            statement = statement.where(
                AuditEventRow.occurred_at <= moment,
                or_(AuditEventRow.occurred_at < moment, AuditEventRow.id < event_id),
            )
        rows = (await self._session.scalars(statement.limit(limit))).all()
        return await self._with_details(rows)

    async def oldest(
        self, query: AuditQuery, *, ip_macs: Sequence[str] | None, after: int, limit: int
    ) -> Sequence[Stored]:
        """List in the order of writing what matches, from above a row number."""
        statement = self._matching(query, ip_macs).where(AuditEventRow.number > after)
        rows = (await self._session.scalars(statement.order_by(AuditEventRow.number).limit(limit))).all()
        return await self._with_details(rows)

    async def origin(self) -> str | None:
        """Give the log's name; none while nothing was ever written to it."""
        return await self._session.scalar(
            select(AuditLogRow.origin).where(AuditLogRow.log_id == self._log_id)
        )

    def _matching(self, query: AuditQuery, ip_macs: Sequence[str] | None) -> Select[AuditEventRow]:
        row, statement = AuditEventRow, self._mine()
        for column, value in (
            (row.target_type, query.resource_type),
            (row.target_id, query.resource_id),
            (row.outcome, query.outcome),
            (row.request_id, query.request_id),
        ):
            if value is not None:
                statement = statement.where(column == value)
        if ip_macs is not None:
            statement = statement.where(row.ip_mac.in_(ip_macs))
        if query.action is not None:
            kind = query.action.removesuffix("*")
            whole = kind == query.action
            statement = statement.where(
                row.action == kind if whole else row.action.startswith(kind, autoescape=True)
            )
        if query.actor is not None:
            statement = statement.where(or_(row.actor_id == query.actor, row.on_behalf_of == query.actor))
        if query.user is not None:
            user = query.user
            statement = statement.where(
                or_(row.actor_id == user, row.on_behalf_of == user, row.target_id == user)
            )
        if query.since is not None:
            statement = statement.where(row.occurred_at >= query.since)
        if query.until is not None:
            statement = statement.where(row.occurred_at < query.until)
        return statement

    async def _with_details(self, rows: Sequence[AuditEventRow]) -> Sequence[Stored]:
        stored = {row.id: Stored(row) for row in rows}
        if stored:
            details = await self._session.scalars(
                select(AuditDisclosureRow).where(AuditDisclosureRow.event_id.in_(stored))
            )
            for detail in details:
                stored[detail.event_id].sealed[detail.subject_id] = detail.sealed
        return tuple(stored.values())

    def _mine(self) -> Select[AuditEventRow]:
        return select(AuditEventRow).where(AuditEventRow.log_id == self._log_id)
