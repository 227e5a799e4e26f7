from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from bartizan.backbone.events import Envelope, Events
from bartizan.backbone.usage import Usage, UsageSettings
from bartizan.foundation import ids
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller
from bartizan.foundation.database import Database

ACME, GLOBEX = ids.new("org"), ids.new("org")
ADA, BOB = ids.new("usr"), ids.new("usr")
READ = frozenset({"usage:read"})
ADMIN = Caller(id=ADA, kind="user", user_id=ADA, org_id=ACME, permissions=READ)
NEIGHBOUR = Caller(id=BOB, kind="user", user_id=BOB, org_id=GLOBEX, permissions=READ)
MEMBER = Caller(id=BOB, kind="user", user_id=BOB, org_id=ACME)
OPERATOR = Caller(id=ids.new("usr"), kind="user", user_id=ids.new("usr"), operator=True)
NOON = datetime(2026, 3, 14, 12, 0, 10, tzinfo=UTC)


@dataclass
class Plans:
    """What plans allow, as the room above tells it."""

    limits: dict[str, dict[str, int | None]] = field(default_factory=dict)
    asked: list[Collection[str]] = field(default_factory=list)

    async def __call__(self, org_ids: Collection[str]) -> Mapping[str, Mapping[str, int | None]]:
        self.asked.append(org_ids)
        return {org_id: self.limits[org_id] for org_id in org_ids if org_id in self.limits}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def plans() -> Plans:
    return Plans()


@pytest.fixture
def told(events: Events) -> list[Envelope]:
    told: list[Envelope] = []
    events.listen("quota.*", told.append)
    return told


@pytest.fixture
def events(database: Database, clock: ManualClock) -> Events:
    return Events(database, clock=clock)


Make = Callable[..., Usage]


@pytest.fixture
def make(database: Database, events: Events, clock: ManualClock, plans: Plans) -> Make:
    """Make the room as one replica has it; several share the database."""

    def make(**settings: float) -> Usage:
        return Usage(database, events, UsageSettings.model_validate(settings), clock=clock, allowances=plans)

    return make


@pytest.fixture
def usage(make: Make) -> Usage:
    return make()
