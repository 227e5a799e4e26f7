"""What the audit log writes."""

import pytest

from bartizan.backbone.audit import (
    Audit,
    InvalidAuditEntry,
)
from bartizan.backbone.events import Events
from bartizan.foundation import ids
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller, Origin, current
from bartizan.foundation.database import Database

from .facts import (
    ACME,
    FIREFOX,
    BadgePrinted,
    DoorRefused,
    LampBlinked,
    found,
    person,
    request,
)


@pytest.mark.feature("AUD-02", "AUD-01")
async def test_a_fact_becomes_a_record_with_who_what_and_where(
    audit: Audit, events: Events, clock: ManualClock
) -> None:
    origin = request()
    with person(), current.receiving(origin):
        await events.announce(BadgePrinted(badge_id="bdg_1", copies=2, user_id="usr_bob", holder="Bob Roe"))
        [event] = await found(audit)
    assert ids.valid(event.id, "aud")
    assert event.model_dump(exclude={"id", "leaf"}) == {
        "org_id": ACME,
        "time": clock.now(),
        "action": "badge.printed",
        "actor": {"type": "user", "id": "usr_ann", "on_behalf_of": None},
        "target": {"type": "badge", "id": "bdg_1"},
        "outcome": "success",
        "request_id": origin.request_id,
        "session_id": "ses_1",
        "method": "POST",
        "path": "/api/v1/badges",
        "changes": {"badge_id": "bdg_1", "copies": 2, "user_id": "usr_bob"},
        "personal": {"holder": "Bob Roe", "ip": "203.0.113.9", "user_agent": FIREFOX},
        "withheld": 0,
        "intact": True,
        "unconfirmed": False,
    }
    assert origin.recorded == ["badge.printed", "audit.read"]


@pytest.mark.feature("AUD-02")
async def test_a_refusal_of_a_stranger_is_recorded_without_naming_them(audit: Audit, events: Events) -> None:
    with current.receiving(request(ip="198.51.100.1")):
        await events.announce(DoorRefused(card="4711", ip="10.0.0.1"))
        await events.announce(LampBlinked())
    with person(org_id=None, operator=True):
        [event] = await found(audit)
    assert event.actor.type == "anonymous"
    assert event.actor.id is None
    assert event.outcome == "denied"
    assert event.target is not None
    assert event.target.id is None
    assert event.changes == {}
    assert event.personal == {"card": "4711", "ip": "10.0.0.1", "user_agent": FIREFOX}
    assert event.org_id is None


@pytest.mark.feature("AUD-02")
async def test_it_is_the_real_person_who_acts_while_impersonating(audit: Audit, events: Events) -> None:
    with person("usr_bob", actor="usr_support"):
        await events.announce(BadgePrinted(badge_id="bdg_1", holder="Bob Roe"))
    with person():
        [event] = await found(audit, actor="usr_support")
        assert event.actor.model_dump() == {"type": "user", "id": "usr_support", "on_behalf_of": "usr_bob"}
        assert [event] == await found(audit, user="usr_bob")


@pytest.mark.feature("AUD-02")
async def test_a_key_acts_for_its_owner(audit: Audit) -> None:
    with current.acting_as(Caller(id="key_1", kind="key", user_id="usr_bob", org_id=ACME)):
        await audit.log("report.exported")
    with person():
        [event] = await found(audit, user="usr_bob")
    assert event.actor.model_dump() == {"type": "key", "id": "key_1", "on_behalf_of": "usr_bob"}
    assert event.target is None


@pytest.mark.feature("AUD-03")
async def test_an_entry_of_ones_own_is_written_with_the_change(audit: Audit, database: Database) -> None:
    with person():
        with pytest.raises(RuntimeError):  # noqa: PT012
            async with database.transaction():
                await audit.log("report.exported")
                raise RuntimeError("rolled back")
        assert await found(audit) == []
        event_id = await audit.log(
            "report.exported",
            resource_type="report",
            resource_id="rep_1",
            details={"pages": 12, "ratio": 0.5},
            personal={"recipient": "bob@acme.example"},
            outcome="failure",
        )
        event = await audit.get(event_id)
    assert (event.action, event.outcome) == ("report.exported", "failure")
    assert event.changes == {"pages": 12, "ratio": "0.5"}
    assert event.personal == {"recipient": "bob@acme.example"}


@pytest.mark.feature("AUD-03")
@pytest.mark.parametrize(
    "action", ["", "Report.Exported", "report", "report.", "GET /reports", "a." + "b" * 99]
)
async def test_an_action_is_resource_and_verb(audit: Audit, action: str) -> None:
    with person(), pytest.raises(InvalidAuditEntry):
        await audit.log(action)


@pytest.mark.feature("AUD-03")
async def test_what_is_not_json_is_refused(audit: Audit) -> None:
    with person(), pytest.raises(InvalidAuditEntry, match="bytes"):
        await audit.log("report.exported", details={"body": b"\x00"})


@pytest.mark.feature("AUD-01")
@pytest.mark.parametrize(
    ("method", "status", "action", "outcome"),
    [
        ("POST", 201, "request.posted", "success"),
        ("PUT", 200, "request.put", "success"),
        ("PATCH", 422, "request.patched", "failure"),
        ("DELETE", 403, "request.deleted", "denied"),
    ],
)
async def test_a_request_that_changes_something_leaves_a_record(
    audit: Audit, method: str, status: int, action: str, outcome: str
) -> None:
    origin = request(method, "/api/v1/badges/42?token=secret")
    with person():
        with current.receiving(origin):
            await audit.request(status)
            await audit.request(status)
        [event] = await found(audit)
    assert (event.action, event.outcome, event.method) == (action, outcome, method)
    assert event.path == "/api/v1/badges/42"
    assert event.target is not None
    assert (event.target.type, event.target.id) == ("badges", "42")
    assert event.changes == {"status": status}
    assert event.personal == {"ip": "203.0.113.9", "user_agent": FIREFOX}
    assert event.request_id == origin.request_id


@pytest.mark.feature("AUD-01")
async def test_a_request_that_announced_a_fact_is_not_recorded_twice(audit: Audit, events: Events) -> None:
    with person():
        with current.receiving(request()):
            await events.announce(BadgePrinted(badge_id="bdg_1", holder="Bob Roe"))
            await audit.request(201)
        assert [event.action for event in await found(audit)] == ["badge.printed"]


@pytest.mark.feature("AUD-01")
async def test_a_fact_that_was_rolled_back_does_not_hide_the_request(
    audit: Audit, events: Events, database: Database
) -> None:
    with person():
        with current.receiving(request()):
            with pytest.raises(RuntimeError):  # noqa: PT012
                async with database.transaction():
                    await events.announce(BadgePrinted(badge_id="bdg_1", holder="Bob Roe"))
                    raise RuntimeError("rolled back")
            await audit.request(500)
        assert [event.action for event in await found(audit)] == ["request.posted"]


@pytest.mark.feature("AUD-01")
async def test_reading_leaves_no_record_of_the_request(audit: Audit) -> None:
    with person():
        await audit.request(200)
        with current.receiving(request("GET")):
            await audit.request(200)
        with current.receiving(Origin(request_id="req_1")):
            await audit.request(200)
        assert await found(audit) == []


@pytest.mark.feature("AUD-01")
async def test_an_absurd_request_is_cut_to_size(audit: Audit) -> None:
    origin = Origin(
        request_id="r" * 999,
        ip="f" * 99,
        user_agent="u" * 9999,
        method="DELETE",
        path="/" + "p" * 9999 + "\x00",
    )
    with person():
        with current.receiving(origin):
            await audit.request(200)
        [event] = await found(audit)
    assert event.personal == {"ip": "f" * 45, "user_agent": "u" * 500}
    assert event.path == "/" + "p" * 499
    assert event.request_id == "r" * 200
