"""Writing counts down, and taking old ones away."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, delete, func, select, text, tuple_

from bartizan.backbone.usage.tables import (
    UsageCallerRow,
    UsageCountRow,
    UsageMarkRow,
    UsageRequestsRow,
    UsageTotalRow,
    UsageWriterRow,
)
from bartizan.foundation.database import Database, insert_into

Kind = Literal["counts", "callers", "bundles"]
Rows = list[tuple[Any, ...]]
Totals = Mapping[tuple[str, str], int]
"""Requests by organization and period."""

_PRUNED_AT_ONCE = 1_000
_TEXT, _NUMBER = "text", "bigint"


@dataclass(slots=True)
class Slice:
    """Some rows to be added in one transaction, and only once; each list in one order for everybody."""

    sequence: int
    hour: int
    day: int
    month: int
    rows: dict[Kind, Rows] = field(default_factory=lambda: {"counts": [], "callers": [], "bundles": []})
    spent: dict[str, int] = field(default_factory=dict[str, int])
    """Requests that count against quotas, by organization."""
    crowded: set[str] = field(default_factory=set[str])
    """Organizations of which more single requests may lie there than are kept."""

    @property
    def requests(self) -> int:
        """How many requests these rows are."""
        return sum(row[-2] for row in self.rows["counts"] if row[1] == "hour")

    def __len__(self) -> int:
        """Say how much work it is."""
        rows = self.rows
        return len(rows["counts"]) + len(rows["callers"]) + 2 * len(self.spent) + 10 * len(rows["bundles"])


class _Upsert:
    """Adds rows to those that are there: one call on SQLite, one statement of arrays on PostgreSQL."""

    def __init__(self, table: str, keys: Mapping[str, str], sums: Sequence[str]) -> None:
        columns = [*keys, *sums]
        into = f"INSERT INTO {table} ({', '.join(columns)})"
        added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in sums)
        conflict = f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {added}" if sums else ""
        types = [*keys.values(), *(_NUMBER for _ in sums)]
        arrays = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(types, 1))
        # Fed row by row: SQLite takes twice as long to read the same rows out of JSON.
        self._sqlite = f"{into} VALUES ({', '.join('?' for _ in columns)}) {conflict}"
        self._postgresql = f"{into} SELECT * FROM unnest({arrays}) {conflict}"  # noqa: S608 - likewise

    def __call__(self, connection: Connection, rows: Rows) -> None:
        """Add the rows; no two may have the same key."""
        if not rows:
            return
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(self._sqlite, rows)
        else:
            connection.exec_driver_sql(self._postgresql, tuple(map(list, zip(*rows, strict=True))))


_COUNTS = _Upsert(
    "bz_usage_counts",
    {
        "org_id": _TEXT,
        "grain": _TEXT,
        "start": _NUMBER,
        "method": _TEXT,
        "route": _TEXT,
        "status": "smallint",
        "band": "smallint",
    },
    ("requests", "micros"),
)
_CALLERS = _Upsert(
    "bz_usage_callers",
    {"org_id": _TEXT, "grain": _TEXT, "start": _NUMBER, "caller_id": _TEXT},
    ("requests", "micros", "client_errors", "server_errors"),
)
_TOTALS = _Upsert("bz_usage_totals", {"org_id": _TEXT, "period": _TEXT, "start": _NUMBER}, ("requests",))
_BUNDLES = _Upsert("bz_usage_requests", {"org_id": _TEXT, "id": _TEXT, "size": _NUMBER, "body": _TEXT}, ())
# Gives a row only if this is further than the process has come before.
_ADVANCE = text(
    "INSERT INTO bz_usage_writers (id, sequence, seen) VALUES (:id, :sequence, :seen) "
    "ON CONFLICT (id) DO UPDATE SET sequence = excluded.sequence, seen = excluded.seen "
    "WHERE bz_usage_writers.sequence < excluded.sequence RETURNING sequence"
)


def unit(writer_id: str, part: Slice, *, keep: int) -> Callable[[Connection], Totals]:
    """Give the plain function that writes a slice and reads what quotas have to know.

    If the same slice was written before, and only the answer got lost, it adds nothing.
    """

    def write(connection: Connection) -> Totals:
        place = {"id": writer_id, "sequence": part.sequence, "seen": part.hour}
        if connection.execute(_ADVANCE, place).first() is not None:
            _COUNTS(connection, part.rows["counts"])
            _CALLERS(connection, part.rows["callers"])
            spent = sorted(part.spent.items())
            days = [(org_id, "day", part.day, requests) for org_id, requests in spent]
            months = [(org_id, "month", part.month, requests) for org_id, requests in spent]
            _TOTALS(connection, sorted(days + months))
            _BUNDLES(connection, part.rows["bundles"])
        for org_id in sorted(part.crowded):
            _trim(connection, org_id, keep)
        return _totals(connection, part.spent, part.day, part.month)

    return write


def _totals(connection: Connection, org_ids: Collection[str], day: int, month: int) -> Totals:
    row = UsageTotalRow
    periods = tuple_(row.period, row.start).in_([("day", day), ("month", month)])
    query = select(row.org_id, row.period, row.requests).where(row.org_id.in_(org_ids), periods)
    return {(org_id, period): requests for org_id, period, requests in connection.execute(query)}


def _trim(connection: Connection, org_id: str, keep: int) -> None:
    """Delete the single requests of an organization beyond the latest ones."""
    row, seen = UsageRequestsRow, 0
    query = select(row.id, row.size).where(row.org_id == org_id).order_by(row.id.desc())
    for bundle_id, size in connection.execute(query).all():
        if seen >= keep:
            connection.execute(delete(row).where(row.org_id == org_id, row.id <= bundle_id))
            return
        seen += size


class UsageWriter:
    """What is written, whichever the organization."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, writer_id: str, part: Slice, *, keep: int) -> Totals:
        """Write a slice in a commit that it may share with others."""
        with self._database.across_organizations():
            return await self._database.write(unit(writer_id, part, keep=keep))

    async def mark(self, org_id: str, resource: str, start: int, quota: int, told: str) -> bool:
        """Note that an organization is told about a quota; false when it was told already."""
        async with self._database.transaction() as session:
            with self._database.across_organizations():
                row = {"org_id": org_id, "resource": resource, "start": start, "quota": quota, "told": told}
                statement = insert_into(session, UsageMarkRow).values(row).on_conflict_do_nothing()
                found = await session.execute(statement.returning(UsageMarkRow.start))
                return found.first() is not None

    async def prune(self, *, hours: int, days: int, months: int, keep: int) -> int:
        """Take away what is older than these moments, some rows at a time; say how many rows."""
        count, caller, total, mark, writer = (
            UsageCountRow,
            UsageCallerRow,
            UsageTotalRow,
            UsageMarkRow,
            UsageWriterRow,
        )
        gone = 0
        for table, condition in (
            (count, (count.grain == "hour") & (count.start < hours)),
            (count, (count.grain == "day") & (count.start < days)),
            (caller, (caller.grain == "hour") & (caller.start < hours)),
            (caller, (caller.grain == "day") & (caller.start < days)),
            (total, (total.period == "day") & (total.start < days)),
            (total, (total.period == "month") & (total.start < months)),
            (mark, mark.start < months),
            (writer, writer.seen < hours),
        ):
            gone += await self._delete(table, condition)
        return gone + await self._trim_all(keep)

    async def _delete(self, table: Any, condition: Any) -> int:
        keys = tuple_(*table.__table__.primary_key.columns)
        some = select(*table.__table__.primary_key.columns).where(condition).limit(_PRUNED_AT_ONCE)
        gone = 0
        while True:
            with self._database.across_organizations():
                found: int = await self._database.write(
                    lambda connection: connection.execute(delete(table).where(keys.in_(some))).rowcount
                )
            gone += found
            if found < _PRUNED_AT_ONCE:
                return gone

    async def _trim_all(self, keep: int) -> int:
        row = UsageRequestsRow
        full = select(row.org_id).group_by(row.org_id).having(func.sum(row.size) > bindparam("keep"))
        with self._database.across_organizations():
            async with self._database.reading() as session:
                crowded = (await session.scalars(full, {"keep": keep})).all()
            for org_id in crowded:
                await self._database.write(partial(_trim, org_id=org_id, keep=keep))
        return len(crowded)
