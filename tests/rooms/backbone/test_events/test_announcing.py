"""Announcing facts: what is recorded, and when."""

import asyncio

import pytest

from bartizan.backbone.events import Events
from bartizan.foundation import ids
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller, Origin, current
from bartizan.foundation.database import Database

from .facts import ACME, GLOBEX, Ear, RecordingCreated, RecordingDeleted, member


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
