"""Announcing facts, and hearing them."""

import asyncio
import logging
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import ClassVar
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from bartizan.backbone.events import READ, Envelope, Events, plain
from bartizan.backbone.events.capability import capability
from bartizan.backbone.events.errors import UnknownEvent
from bartizan.foundation import ids
from bartizan.foundation.capability import Compliance, Event
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller, Origin, PermissionMissing, current
from bartizan.foundation.database import Database
from bartizan.foundation.errors import Forbidden, Invalid

ACME = "org_acme"
GLOBEX = "org_globex"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingCreated(Event):
    """A recording was made."""

    target: ClassVar[str | None] = "recording_id"

    recording_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingDeleted(Event):
    """A recording went away."""

    recording_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartOpened(Event):
    """A patient's chart was read."""

    compliance: ClassVar[Compliance] = "hipaa"

    chart_id: str


@pytest.fixture
def events(database: Database, clock: ManualClock) -> Events:
    return Events(database, clock=clock)


@contextmanager
def member(org_id: str | None = ACME, *permissions: str, operator: bool = False) -> Generator[None]:
    caller = Caller(
        id="usr_ann",
        kind="user",
        user_id="usr_ann",
        org_id=org_id,
        permissions=frozenset(permissions or [READ.name]),
        operator=operator,
    )
    with current.acting_as(caller):
        yield


class Ear:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.heard: list[Envelope] = []

    async def __call__(self, envelope: Envelope) -> None:
        self.heard.append(envelope)

    @property
    def types(self) -> list[str]:
        return [envelope.type for envelope in self.heard]


@pytest.mark.feature("EVT-01")
async def test_an_envelope_says_who_what_when_and_why(events: Events, clock: ManualClock) -> None:
    ear = Ear()
    events.listen("*", ear)
    caller = Caller(id="key_1", kind="key", org_id=ACME, user_id="usr_ann", actor_id="usr_support")
    with current.acting_as(caller), current.receiving(Origin(request_id="req_1")):
        await events.announce(RecordingCreated(recording_id="rec_1"))

    [envelope] = ear.heard
    assert ids.valid(envelope.id, "evt")
    assert envelope.event == RecordingCreated(recording_id="rec_1")
    assert envelope.as_dict() == {
        "id": envelope.id,
        "type": "recording.created",
        "source": "bartizan",
        "tenant_id": ACME,
        "user_id": "usr_ann",
        "timestamp": clock.now().isoformat(),
        "data": {"recording_id": "rec_1"},
        "correlation_id": "req_1",
        "compliance_level": "standard",
        "retry_count": 0,
        "metadata": {"caller": "key_1", "kind": "key", "actor": "usr_support", "subject": "rec_1"},
        "sequence": 1,
    }


@pytest.mark.feature("EVT-01")
async def test_a_fact_is_also_a_cloudevent(events: Events, clock: ManualClock) -> None:
    with member():
        announced = await events.announce(RecordingCreated(recording_id="rec_1"))
        recorded = await events.get(announced.id)

    cloud = recorded.as_cloudevent()
    assert cloud == {
        "specversion": "1.0",
        "id": announced.id,
        "source": "bartizan",
        "type": "recording.created",
        "time": clock.now().isoformat(),
        "subject": "rec_1",
        "datacontenttype": "application/json",
        "data": {"recording_id": "rec_1"},
        "tenantid": ACME,
        "userid": "usr_ann",
        "compliancelevel": "standard",
        "sequence": "00000000000000000001",
    }
    assert {**cloud, "sequence": None} == {**announced.as_cloudevent(), "sequence": None}


@pytest.mark.feature("EVT-08")
async def test_a_fact_is_recorded_if_and_only_if_the_change_commits(
    events: Events, database: Database
) -> None:
    ear = Ear()
    events.listen("*", ear)
    with member():
        with pytest.raises(RuntimeError, match="changed my mind"):  # noqa: PT012
            async with database.transaction():
                await events.announce(RecordingCreated(recording_id="rec_1"))
                raise RuntimeError("changed my mind")
        assert (await events.list()).items == []
        assert ear.heard == []

        async with database.transaction():
            await events.announce(RecordingCreated(recording_id="rec_2"))
            assert ear.heard == []
        [event] = (await events.list()).items
    assert event.data == {"recording_id": "rec_2"}
    assert event.sequence == 1
    assert ear.types == ["recording.created"]


@pytest.mark.feature("EVT-08", "X-13")
async def test_parallel_announcers_leave_no_gap_and_rollbacks_leave_none_either(
    events: Events, database: Database
) -> None:
    async def announce(number: int) -> None:
        with member(ACME if number % 4 else GLOBEX):
            async with database.transaction():
                await events.announce(RecordingCreated(recording_id=f"rec_{number}"))
                await asyncio.sleep(0.001 * (number % 3))
                await events.announce(RecordingDeleted(recording_id=f"rec_{number}"))
                if number % 5 == 0:
                    raise RuntimeError("rolled back")

    results = await asyncio.gather(*(announce(number) for number in range(40)), return_exceptions=True)
    assert sum(isinstance(result, RuntimeError) for result in results) == 8
    assert sum(result is None for result in results) == 32

    total = 0
    for org_id in (ACME, GLOBEX):
        with member(org_id):
            facts = await events.after(0, limit=200)
        assert [fact.sequence for fact in facts] == list(range(1, len(facts) + 1))
        total += len(facts)
    assert total == 64


@pytest.mark.feature("EVT-08")
async def test_transactions_over_the_same_two_organizations_do_not_deadlock(
    events: Events, database: Database
) -> None:
    async def announce(*orgs: str) -> None:
        async with database.transaction():
            for org_id in orgs:
                await events.announce(RecordingCreated(recording_id="rec_1"), org_id=org_id)

    await asyncio.gather(
        *(announce(*([ACME, GLOBEX] if number % 2 else [GLOBEX, ACME])) for number in range(20))
    )
    with member(GLOBEX):
        assert [fact.sequence for fact in await events.after(15)] == [16, 17, 18, 19, 20]


@pytest.mark.feature("EVT-08")
async def test_a_consumer_acts_once_on_an_event_delivered_twice(events: Events, database: Database) -> None:
    assert await events.first_time("mailer", "evt_1")
    assert not await events.first_time("mailer", "evt_1")
    assert await events.first_time("indexer", "evt_1")

    with pytest.raises(RuntimeError):  # noqa: PT012
        async with database.transaction():
            assert await events.first_time("mailer", "evt_2")
            raise RuntimeError("the work failed")
    assert await events.first_time("mailer", "evt_2")


@pytest.mark.feature("EVT-03")
async def test_a_listener_hears_the_pattern_it_asked_for(events: Events) -> None:
    prefix, exact, by_class, everything = Ear(), Ear(), Ear(), Ear()
    events.listen("recording.*", prefix)
    events.listen("recording.deleted", exact)
    events.listen(ChartOpened, by_class)
    events.listen(Event, everything)
    with member():
        await events.announce(RecordingCreated(recording_id="rec_1"))
        await events.announce(RecordingDeleted(recording_id="rec_1"))
        await events.announce(ChartOpened(chart_id="cha_1"))
    assert prefix.types == ["recording.created", "recording.deleted"]
    assert exact.types == ["recording.deleted"]
    assert by_class.types == ["chart.opened"]
    assert everything.types == ["recording.created", "recording.deleted", "chart.opened"]


@pytest.mark.feature("EVT-03")
async def test_a_dot_in_a_pattern_is_only_a_dot(events: Events) -> None:
    ear = Ear()
    events.listen("recordingXcreated", ear)
    events.listen("recording", ear)
    with member():
        await events.announce(RecordingCreated(recording_id="rec_1"))
    assert ear.heard == []


@pytest.mark.feature("EVT-03")
async def test_a_listener_may_hear_one_organization_or_one_compliance_level(events: Events) -> None:
    acme, standard, regulated = Ear(), Ear(), Ear()
    events.listen("*", acme, org_id=ACME)
    events.listen("*", standard, compliance="standard")
    events.listen("*", regulated, compliance={"hipaa", "pci"})
    with member(ACME):
        await events.announce(RecordingCreated(recording_id="rec_1"))
    with member(GLOBEX):
        await events.announce(ChartOpened(chart_id="cha_1"))
    assert [envelope.tenant_id for envelope in acme.heard] == [ACME]
    assert standard.types == ["recording.created"]
    assert regulated.types == ["chart.opened"]


@pytest.mark.feature("EVT-03")
async def test_a_cancelled_listener_hears_no_more(events: Events) -> None:
    ear = Ear()
    subscription = events.listen("*", ear)
    with member():
        await events.announce(RecordingCreated(recording_id="rec_1"))
        subscription.cancel()
        subscription.cancel()
        await events.announce(RecordingCreated(recording_id="rec_2"))
    assert len(ear.heard) == 1


@pytest.mark.feature("EVT-03")
async def test_a_listener_cancelled_by_another_one_is_not_called(events: Events) -> None:
    ear = Ear()
    events.listen("*", lambda envelope: later.cancel())
    later = events.listen("*", ear)
    with member():
        await events.announce(RecordingCreated(recording_id="rec_1"))
    assert ear.heard == []


@pytest.mark.feature("EVT-03")
async def test_a_listener_that_fails_is_logged_and_hurts_nobody(
    events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(envelope: Envelope) -> None:
        raise ValueError("cannot hear")

    ear = Ear()
    events.listen("*", broken)
    events.listen("*", ear)
    with member(), caplog.at_level(logging.ERROR):
        await events.announce(RecordingCreated(recording_id="rec_1"))
    assert len(ear.heard) == 1
    assert "a listener failed" in caplog.text
    assert "cannot hear" in caplog.text


@pytest.mark.feature("EVT-08")
async def test_a_listener_within_the_transaction_shares_its_fate(events: Events, database: Database) -> None:
    async def follow(envelope: Envelope) -> None:
        if envelope.data["recording_id"] == "rec_bad":
            raise ValueError("refused")
        await events.announce(ChartOpened(chart_id=envelope.data["recording_id"]))

    events.within(RecordingCreated, follow)
    with member():
        with pytest.raises(ValueError, match="refused"):
            await events.announce(RecordingCreated(recording_id="rec_bad"))
        await events.announce(RecordingCreated(recording_id="rec_1"))
        facts = await events.after(0)
    assert [(fact.sequence, fact.type) for fact in facts] == [(1, "recording.created"), (2, "chart.opened")]


async def test_a_fact_announced_by_a_last_hook_is_recorded_too(events: Events, database: Database) -> None:
    ear = Ear()
    events.listen("*", ear)

    async def late() -> None:
        await events.announce(RecordingDeleted(recording_id="rec_1"))

    with member():
        async with database.transaction():
            await events.announce(RecordingCreated(recording_id="rec_1"))
            database.before_commit(late)
        facts = await events.after(0)
    assert [fact.type for fact in facts] == ["recording.created", "recording.deleted"]
    assert ear.types == ["recording.created", "recording.deleted"]


async def test_pages_are_newest_first_and_filtered(events: Events, clock: ManualClock) -> None:
    started = clock.now()
    with member():
        for number in range(5):
            clock.advance(60)
            await events.announce(RecordingCreated(recording_id=f"rec_{number}"))
        await events.announce(ChartOpened(chart_id="cha_1"))

        page = await events.list(type="recording.*", limit=2)
        assert [event.sequence for event in page.items] == [5, 4]
        page = await events.list(type="recording.*", limit=2, cursor=page.next)
        assert [event.sequence for event in page.items] == [3, 2]
        page = await events.list(type="recording.*", limit=2, cursor=page.next)
        assert [event.sequence for event in page.items] == [1]
        assert page.next is None

        assert [event.type for event in (await events.list(type="chart.opened")).items] == ["chart.opened"]
        assert (await events.list(type="recording_*")).items == []
        until = started.replace(tzinfo=UTC)
        assert (await events.list(until=until)).items == []
        assert len((await events.list(since=started)).items) == 6
        with pytest.raises(Invalid):
            await events.list(cursor="WyJ4Il0")


async def test_another_organization_sees_nothing(events: Events) -> None:
    with member(ACME):
        announced = await events.announce(RecordingCreated(recording_id="rec_1"))
    with member(GLOBEX):
        assert (await events.list()).items == []
        assert list(await events.after(0)) == []
        with pytest.raises(UnknownEvent):
            await events.get(announced.id)


async def test_the_permission_is_needed(events: Events) -> None:
    with member(ACME, "app:read"), pytest.raises(PermissionMissing):
        await events.list()
    with member(None), pytest.raises(Forbidden):
        await events.list()


async def test_what_belongs_to_no_organization_goes_to_the_platform(events: Events) -> None:
    await events.announce(RecordingCreated(recording_id="rec_1"))
    with member(ACME):
        await events.announce(RecordingCreated(recording_id="rec_2"), org_id=None)
        assert (await events.list()).items == []
    with member(None, operator=True):
        facts = await events.after(0)
    assert [(fact.tenant_id, fact.sequence) for fact in facts] == [(None, 1), (None, 2)]


async def test_old_facts_are_pruned_and_the_sequence_goes_on(events: Events, clock: ManualClock) -> None:
    with member():
        await events.announce(RecordingCreated(recording_id="rec_1"))
        await events.first_time("mailer", "evt_1")
        clock.advance(3600)
        await events.announce(RecordingCreated(recording_id="rec_2"))
        with pytest.raises(Forbidden):
            await events.prune(clock.now())
        with current.as_system():
            assert await events.prune(clock.now()) == 1
        await events.announce(RecordingCreated(recording_id="rec_3"))
        assert [fact.sequence for fact in await events.after(0)] == [2, 3]
        assert await events.first_time("mailer", "evt_1")


async def test_events_are_read_over_http(events: Events) -> None:
    assert capability.routes is not None
    app = FastAPI()
    app.include_router(capability.routes(events))
    with member():
        announced = await events.announce(RecordingCreated(recording_id="rec_1"))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            listed = await client.get("/events", params={"type": "recording.*", "limit": 1})
            got = await client.get(f"/events/{announced.id}")
            refused = await client.get("/events", params={"limit": 100_000})
    assert [item["sequence"] for item in listed.json()["items"]] == [1]
    assert got.json()["data"] == {"recording_id": "rec_1"}
    assert refused.status_code == 422


class Colour(Enum):
    RED = "red"


class Speed(int, Enum):
    FAST = 9


class Model(BaseModel):
    when: date


@dataclass
class Point:
    x: int


def test_the_fields_of_an_event_become_plain_json() -> None:
    day = date(2026, 1, 2)
    assert plain(
        {
            "moment": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            "amount": Decimal("1.50"),
            "uuid": UUID(int=1),
            "colour": Colour.RED,
            "speed": Speed.FAST,
            "set": frozenset({"b", "a"}),
            "pair": (1, None),
            "model": Model(when=day),
            "point": Point(x=3),
            "ratio": 0.5,
        }
    ) == {
        "moment": "2026-01-02T03:04:05+00:00",
        "amount": "1.50",
        "uuid": "00000000-0000-0000-0000-000000000001",
        "colour": "red",
        "speed": 9,
        "set": ["a", "b"],
        "pair": [1, None],
        "model": {"when": "2026-01-02"},
        "point": {"x": 3},
        "ratio": 0.5,
    }
    with pytest.raises(TypeError, match="bytes"):
        plain(b"secret")
