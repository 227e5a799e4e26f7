"""Queries about rules; the only file of the room that speaks SQL."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from bartizan.foundation.context import current
from bartizan.foundation.database import Database, insert_into

from .tables import GlobalIpRuleRow, IpRuleRow, IpVersionRow

AnyRuleRow = IpRuleRow | GlobalIpRuleRow
_LAST = "*"
_PLATFORM = "global"
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Written:
    """An enabled rule, as far as it decides anything."""

    id: str
    role: str | None
    callers: Sequence[str]
    addresses: Sequence[str]


@dataclass(frozen=True, slots=True)
class Edition:
    """What changed up to a version: the enabled rules of each organization, and of the platform (none)."""

    version: int
    rules: Mapping[str | None, Sequence[Written]]


class IpRuleStore:
    """The rules of one organization, or of the whole platform (no organization)."""

    def __init__(self, database: Database, session: AsyncSession, org_id: str | None) -> None:
        self._database = database
        self._session = session
        self.org_id = org_id

    async def take_turn(self) -> None:
        """Wait for whoever else changes rules, and let every replica know that these change.

        What is read afterwards is what the others have left, so that two changes at the same moment cannot
        lock out together whom neither would alone.
        """
        number = insert_into(self._session, IpVersionRow).values(scope=_LAST, version=1)
        number = number.on_conflict_do_update(
            index_elements=["scope"], set_={"version": IpVersionRow.version + 1}
        ).returning(IpVersionRow.version)
        version = await self._session.scalar(number)
        mine = insert_into(self._session, IpVersionRow).values(
            scope=self.org_id or _PLATFORM, version=version
        )
        await self._session.execute(
            mine.on_conflict_do_update(index_elements=["scope"], set_={"version": version})
        )

    async def add(self, **values: Any) -> AnyRuleRow:
        org_id = self.org_id
        row = GlobalIpRuleRow(**values) if org_id is None else IpRuleRow(org_id=org_id, **values)
        with self._wall():
            self._session.add(row)
            await self._session.flush()
        return row

    async def save(self) -> None:
        with self._wall():
            await self._session.flush()

    async def remove(self, row: AnyRuleRow) -> None:
        with self._wall():
            await self._session.delete(row)
            await self._session.flush()

    async def find(self, rule_id: str) -> AnyRuleRow | None:
        rows: Sequence[AnyRuleRow]
        if self.org_id is None:
            rows = (
                await self._session.scalars(_fresh(_everywhere().where(GlobalIpRuleRow.id == rule_id)))
            ).all()
        else:
            with self._wall():
                rows = (
                    await self._session.scalars(_fresh(self._mine().where(IpRuleRow.id == rule_id)))
                ).all()
        return rows[0] if rows else None

    async def all(self) -> Sequence[AnyRuleRow]:
        """List all rules, the newest first; there are never more than the settings allow."""
        if self.org_id is None:
            return (
                await self._session.scalars(_fresh(_everywhere().order_by(GlobalIpRuleRow.id.desc())))
            ).all()
        with self._wall():
            return (await self._session.scalars(_fresh(self._mine().order_by(IpRuleRow.id.desc())))).all()

    async def enabled(self) -> Sequence[Written]:
        """List what holds, or will when the transaction commits."""
        return [
            Written(row.id, row.role, row.callers, row.addresses) for row in await self.all() if row.enabled
        ]

    def _mine(self) -> Select[IpRuleRow]:
        return select(IpRuleRow).where(IpRuleRow.org_id == self.org_id)

    @contextmanager
    def _wall(self) -> Generator[None]:
        """Lift the tenant wall only where the organization asked about is not the caller's."""
        caller = current.anyone
        if caller is not None and caller.org_id == self.org_id:
            yield
        else:
            with self._database.across_organizations():
                yield


class Rulebook:
    """All rules of all organizations, for replicas to keep in memory."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def version(self) -> int:
        """Give the number of the last change; 0 before the first."""
        query = select(IpVersionRow.version).where(IpVersionRow.scope == _LAST)
        async with self._database.reading() as session:
            return await session.scalar(query) or 0

    async def edition(self, since: int | None) -> Edition:
        """Read what changed after a version, or everything.

        The number is read first: a change that commits while the rest is read comes again, and is not lost.
        """
        with self._database.across_organizations():
            async with self._database.reading() as session:
                version = await session.scalar(select(func.max(IpVersionRow.version))) or 0
                scopes = select(IpVersionRow.scope).where(IpVersionRow.scope != _LAST)
                if since is not None:
                    scopes = scopes.where(IpVersionRow.version > since)
                changed = (await session.scalars(scopes)).all()
                rules: dict[str | None, list[Written]] = {
                    None if scope == _PLATFORM else scope: [] for scope in changed
                }
                orgs = [scope for scope in changed if scope != _PLATFORM]
                for start in range(0, len(orgs), _AT_ONCE):
                    query = select(
                        IpRuleRow.id, IpRuleRow.role, IpRuleRow.callers, IpRuleRow.addresses, IpRuleRow.org_id
                    ).where(IpRuleRow.org_id.in_(orgs[start : start + _AT_ONCE]), IpRuleRow.enabled)
                    for rule_id, role, callers, addresses, org_id in (await session.execute(query)).all():
                        rules[org_id].append(Written(rule_id, role, callers, addresses))
                if None in rules:
                    everywhere = select(
                        GlobalIpRuleRow.id,
                        GlobalIpRuleRow.role,
                        GlobalIpRuleRow.callers,
                        GlobalIpRuleRow.addresses,
                    ).where(GlobalIpRuleRow.enabled)
                    found = (await session.execute(everywhere)).all()
                    rules[None] = [Written(*row) for row in found]
        return Edition(version, rules)


def _everywhere() -> Select[GlobalIpRuleRow]:
    return select(GlobalIpRuleRow)


def _fresh(query: Select[Any]) -> Select[Any]:
    """Read rows anew, though this transaction may know them from before its turn."""
    return query.execution_options(populate_existing=True)
