"""Reading what was announced, and what an event looks like outside."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from bartizan.backbone.events import Events, plain
from bartizan.backbone.events.capability import capability
from bartizan.backbone.events.errors import UnknownEvent
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import PermissionMissing, current
from bartizan.foundation.errors import Forbidden, Invalid

from .facts import ACME, GLOBEX, ChartOpened, RecordingCreated, member


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
