"""Hearing facts, in the transaction and after it."""

import logging

import pytest

from bartizan.backbone.events import Envelope, Events
from bartizan.foundation.capability import Event
from bartizan.foundation.database import Database

from .facts import ACME, GLOBEX, ChartOpened, Ear, RecordingCreated, RecordingDeleted, member


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
