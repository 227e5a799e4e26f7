"""Queries about events; the only file of the room that speaks SQL."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Any, cast

from sqlalchemy import Connection, CursorResult, Select, bindparam, delete, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from bartizan.foundation.database import UtcDateTime

from .tables import EventInboxRow, EventRow
from .types import PLATFORM, Envelope, RecordedEvent

_ADVANCE = text(
    "INSERT INTO bz_events_heads (stream, sequence) VALUES (:stream, :count) "
    "ON CONFLICT (stream) DO UPDATE SET sequence = bz_events_heads.sequence + excluded.sequence "
    "RETURNING sequence"
)
_INSERT = insert(EventRow)
_SEE = text(
    "INSERT INTO bz_events_inbox (consumer, event_id, seen_at) VALUES (:consumer, :event_id, :seen_at) "
    "ON CONFLICT (consumer, event_id) DO NOTHING"
).bindparams(bindparam("seen_at", type_=UtcDateTime()))


class EventWriter:
    """What is written, whichever the organization."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def record(self, envelopes: Sequence[Envelope]) -> Sequence[Envelope]:
        """Give each fact the next number of its stream and insert it; heads are held until commit."""
        connection = await self._session.connection()
        return await connection.run_sync(_record_all, envelopes)

    async def see(self, consumer: str, event_id: str, now: datetime) -> bool:
        """Note that a consumer acts on an event; false if it already had."""
        statement = _SEE.bindparams(consumer=consumer, event_id=event_id, seen_at=now)
        return cast("CursorResult[Any]", await self._session.execute(statement)).rowcount == 1

    async def prune(self, before: datetime) -> int:
        """Delete facts and inbox marks older than a moment; the sequences go on where they were."""
        await self._session.execute(delete(EventInboxRow).where(EventInboxRow.seen_at < before))
        result = await self._session.execute(delete(EventRow).where(EventRow.timestamp < before))
        return cast("CursorResult[Any]", result).rowcount


class EventStore:
    """The facts of one stream."""

    def __init__(self, session: AsyncSession, stream: str) -> None:
        self._session = session
        self._stream = stream

    async def newest(
        self,
        *,
        pattern: str | None,
        since: datetime | None,
        until: datetime | None,
        before: int | None,
        limit: int,
    ) -> Sequence[RecordedEvent]:
        """List newest first, from below the sequence number ``before``."""
        statement = self._mine().order_by(EventRow.sequence.desc()).limit(limit)
        if pattern is not None:
            literal = pattern.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
            named = EventRow.type.like(literal.replace("*", "%"), escape="\\")
            statement = statement.where(named if "*" in pattern else EventRow.type == pattern)
        if since is not None:
            statement = statement.where(EventRow.timestamp >= since)
        if until is not None:
            statement = statement.where(EventRow.timestamp < until)
        if before is not None:
            statement = statement.where(EventRow.sequence < before)
        return [_read(row) for row in await self._session.scalars(statement)]

    async def after(self, sequence: int, limit: int) -> Sequence[RecordedEvent]:
        """List in order, from above a sequence number."""
        statement = self._mine().where(EventRow.sequence > sequence).order_by(EventRow.sequence).limit(limit)
        return [_read(row) for row in await self._session.scalars(statement)]

    async def find(self, event_id: str) -> RecordedEvent | None:
        """Find one fact."""
        row = await self._session.scalar(self._mine().where(EventRow.id == event_id))
        return None if row is None else _read(row)

    def _mine(self) -> Select[EventRow]:
        return select(EventRow).where(EventRow.stream == self._stream)


def _record_all(connection: Connection, envelopes: Sequence[Envelope]) -> Sequence[Envelope]:
    counts = Counter(envelope.tenant_id or PLATFORM for envelope in envelopes)
    # One order for everybody: two transactions that write to the same two streams cannot deadlock.
    numbers = {
        stream: count(connection.execute(_ADVANCE, {"stream": stream, "count": size}).scalar_one() - size + 1)
        for stream, size in sorted(counts.items())
    }
    numbered = [replace(e, sequence=next(numbers[e.tenant_id or PLATFORM])) for e in envelopes]
    connection.execute(_INSERT, [_values(envelope) for envelope in numbered])
    return numbered


def _values(envelope: Envelope) -> dict[str, Any]:
    return {
        "stream": envelope.tenant_id or PLATFORM,
        "sequence": envelope.sequence,
        "id": envelope.id,
        "type": envelope.type,
        "source": envelope.source,
        "user_id": envelope.user_id,
        "timestamp": envelope.timestamp,
        "data": envelope.data,
        "correlation_id": envelope.correlation_id,
        "compliance_level": envelope.compliance_level,
        "metadata": envelope.metadata,
    }


def _read(row: EventRow) -> RecordedEvent:
    return RecordedEvent.model_validate(
        {
            "id": row.id,
            "type": row.type,
            "source": row.source,
            "tenant_id": None if row.stream == PLATFORM else row.stream,
            "user_id": row.user_id,
            "timestamp": row.timestamp,
            "data": row.data,
            "correlation_id": row.correlation_id,
            "compliance_level": row.compliance_level,
            "metadata": row.extra,
            "sequence": row.sequence,
        }
    )
