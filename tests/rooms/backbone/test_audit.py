"""The audit log: what it writes, and who may read it."""

import asyncio
import base64
import hashlib
import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import httpx
import pytest
from fastapi import FastAPI

from bartizan.backbone.audit import (
    EXPORT,
    READ,
    WRITE,
    Audit,
    AuditEvent,
    AuditQuery,
    InvalidAuditEntry,
    NewAuditEntry,
    UnknownAuditEvent,
)
from bartizan.backbone.audit.capability import capability
from bartizan.backbone.events import Events
from bartizan.foundation import ids
from bartizan.foundation.capability import Event, Outcome
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller, OperatorsOnly, Origin, PermissionMissing, current
from bartizan.foundation.crypto import Keyring
from bartizan.foundation.database import Database
from bartizan.foundation.errors import Invalid

ACME = "org_acme"
GLOBEX = "org_globex"
ALL = frozenset({READ.name, WRITE.name, EXPORT.name})
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class BadgePrinted(Event):
    """A badge was printed."""

    target: ClassVar[str | None] = "badge_id"
    personal: ClassVar[frozenset[str]] = frozenset({"holder", "photo"})

    badge_id: str
    copies: int = 1
    user_id: str | None = None
    holder: str
    photo: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorRefused(Event):
    """A door stayed shut."""

    outcome: ClassVar[Outcome] = "denied"
    target: ClassVar[str | None] = "card"
    personal: ClassVar[frozenset[str]] = frozenset({"card", "ip"})

    card: str
    ip: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LampBlinked(Event):
    """A lamp blinked; nobody needs to know."""

    audited: ClassVar[bool] = False


@pytest.fixture
def events(database: Database, clock: ManualClock) -> Events:
    return Events(database, clock=clock)


@pytest.fixture
def keyring() -> Keyring:
    return Keyring(["k" * 43])


@pytest.fixture
def audit(database: Database, events: Events, keyring: Keyring, clock: ManualClock) -> Audit:
    return Audit(database, events, keyring, clock=clock)


@contextmanager
def person(
    name: str = "usr_ann",
    org_id: str | None = ACME,
    permissions: frozenset[str] = ALL,
    *,
    actor: str | None = None,
    operator: bool = False,
) -> Generator[None]:
    caller = Caller(
        id=name,
        kind="user",
        user_id=name,
        org_id=org_id,
        permissions=permissions,
        session_id="ses_1",
        actor_id=actor,
        operator=operator,
    )
    with current.acting_as(caller):
        yield


def request(method: str = "POST", path: str = "/api/v1/badges", ip: str = "203.0.113.9") -> Origin:
    return Origin(request_id=ids.new("req"), ip=ip, user_agent=FIREFOX, method=method, path=path)


def sha256_of(disclosure: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(disclosure.encode()).digest()).decode().rstrip("=")


async def found(audit: Audit, **filters: object) -> Sequence[AuditEvent]:
    page = await audit.search(AuditQuery.model_validate(filters))
    return [event for event in page.items if event.action != "audit.read"]


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


@pytest.mark.feature("AUD-06")
async def test_every_filter_finds_its_records(audit: Audit, events: Events, clock: ManualClock) -> None:
    started = clock.now()
    with person("usr_bob"), current.receiving(request(ip="198.51.100.7")):
        await audit.log("api_key.issued", resource_type="api_key", resource_id="key_1")
    clock.advance(10)
    with person("usr_cat"), current.receiving(request()) as _:
        await audit.log("api_key.revoked", resource_type="api_key", resource_id="key_1", outcome="failure")
    clock.advance(10)
    with person("usr_cat"):
        await audit.log("user.removed", resource_type="user", resource_id="usr_bob")
    with person():
        [first] = await found(audit, action="api_key.issued")

        async def actions(**filters: object) -> list[str]:
            return [event.action for event in await found(audit, **filters)]

        assert await actions() == ["user.removed", "api_key.revoked", "api_key.issued"]
        assert await actions(action="api_key.*") == ["api_key.revoked", "api_key.issued"]
        assert await actions(action="api%*") == []
        assert await actions(actor="usr_cat") == ["user.removed", "api_key.revoked"]
        assert await actions(user="usr_bob") == ["user.removed", "api_key.issued"]
        assert await actions(resource_type="user") == ["user.removed"]
        assert await actions(resource_type="api_key", resource_id="key_1", outcome="failure") == [
            "api_key.revoked"
        ]
        assert await actions(ip="198.51.100.7") == ["api_key.issued"]
        assert await actions(request_id=first.request_id) == ["api_key.issued"]
        assert await actions(since=started + timedelta(seconds=10)) == ["user.removed", "api_key.revoked"]
        assert await actions(until=started + timedelta(seconds=10)) == ["api_key.issued"]


@pytest.mark.feature("AUD-06")
async def test_an_address_is_found_after_the_secret_key_was_rotated(
    audit: Audit, database: Database, events: Events, clock: ManualClock
) -> None:
    with person(), current.receiving(request(ip="198.51.100.7")):
        await audit.log("api_key.issued")
    rotated = Audit(database, events, Keyring(["n" * 43, "k" * 43]), clock=clock)
    with person():
        [event] = await found(rotated, ip="198.51.100.7")
    assert event.personal["ip"] == "198.51.100.7"


@pytest.mark.feature("AUD-06")
async def test_pages_lose_and_repeat_nothing(audit: Audit, database: Database, clock: ManualClock) -> None:
    with person():
        for number in range(7):
            async with database.transaction():  # some records share their moment
                await audit.log("page.turned", details={"number": number})
            clock.advance(number % 2)
        numbers: list[int] = []
        cursor = None
        while True:
            page = await audit.search(AuditQuery(action="page.turned", limit=3, cursor=cursor))
            numbers += [event.changes["number"] for event in page.items]
            cursor = page.next
            if cursor is None:
                break
        assert sorted(numbers, reverse=True) == numbers == [6, 5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize("cursor", ["!", "WyJhIl0", "WyJ4IiwiYSJd", "WyIyMDI2LTAxLTAxIiwiYSJd"])
async def test_a_made_up_cursor_is_refused(audit: Audit, cursor: str) -> None:
    with person(), pytest.raises(Invalid):
        await audit.search(AuditQuery(cursor=cursor))


@pytest.mark.feature("AUD-06")
async def test_reading_is_recorded_at_most_once_a_minute_for_each_reader(
    audit: Audit, clock: ManualClock
) -> None:
    async def readers() -> list[str | None]:
        page = await audit.search(AuditQuery(action="audit.read"))
        return [event.actor.id for event in page.items]

    with person("usr_ann"):
        assert await readers() == ["usr_ann"]
        assert await readers() == ["usr_ann"]
    with person("usr_bob"):
        assert sorted(map(str, await readers())) == ["usr_ann", "usr_bob"]
    clock.advance(61)
    with person("usr_ann"):
        assert sorted(map(str, await readers())) == ["usr_ann", "usr_ann", "usr_bob"]


@pytest.mark.feature("AUD-06")
async def test_only_who_may_read_reads(audit: Audit) -> None:
    nobody = frozenset({"app:read"})
    with person(permissions=nobody):
        event_id = await audit.log("report.exported")
        with pytest.raises(PermissionMissing):
            await audit.search(AuditQuery())
        with pytest.raises(PermissionMissing):
            await audit.get(event_id)
        with pytest.raises(PermissionMissing):
            await audit.write(NewAuditEntry(action="report.exported"))
        with pytest.raises(PermissionMissing):
            _ = [record async for record in audit.export(AuditQuery())]


@pytest.mark.feature("AUD-06")
async def test_operators_read_every_log_and_members_only_their_own(audit: Audit) -> None:
    await audit.log("clock.adjusted")
    with person(org_id=ACME):
        event_id = await audit.log("report.exported")
    with person("usr_root", None, operator=True):
        assert [event.action for event in await found(audit)] == ["clock.adjusted"]
        assert [event.action for event in await found(audit, org=ACME)] == ["report.exported"]
        assert (await audit.get(event_id, org=ACME)).action == "report.exported"
    with person("usr_root", GLOBEX, operator=True):
        assert [event.action for event in await found(audit, org="platform")] == ["clock.adjusted"]
    with person(org_id=ACME):
        assert [event.action for event in await found(audit, org=ACME)] == ["report.exported"]
        with pytest.raises(OperatorsOnly):
            await found(audit, org=GLOBEX)
        with pytest.raises(OperatorsOnly):
            await found(audit, org="platform")
    with person(org_id=GLOBEX), pytest.raises(UnknownAuditEvent):
        await audit.get(event_id)


@pytest.mark.feature("AUD-11")
async def test_an_erased_person_is_withheld_and_the_record_stays_intact(
    audit: Audit, events: Events, clock: ManualClock
) -> None:
    with person("usr_ann"), current.receiving(request()):
        await events.announce(BadgePrinted(badge_id="bdg_1", user_id="usr_bob", holder="Bob Roe"))
    with person():
        [before] = await found(audit, action="badge.printed")
        with pytest.raises(OperatorsOnly):
            await audit.erase_subject("usr_bob", "gdpr-17-1-a")
    with person("usr_root", None, operator=True):
        assert await audit.erase_subject("usr_bob", "gdpr-17-1-a") == 1
        [closing] = await found(audit, action="subject.erased")
    assert closing.target is not None
    assert closing.target.id == "usr_bob"
    assert closing.changes == {"subject_id": "usr_bob", "reason": "gdpr-17-1-a", "records": 1}

    with person():
        [after] = await found(audit, action="badge.printed")
        assert after.personal == {"ip": "203.0.113.9", "user_agent": FIREFOX}
        assert after.withheld == 1
        assert after.intact
        assert after.leaf == before.leaf
        # What comes in later about the erased person is not kept either.
        await events.announce(BadgePrinted(badge_id="bdg_2", user_id="usr_bob", holder="Bob Roe"))
        [late] = await found(audit, resource_id="bdg_2")
        assert (late.personal, late.withheld) == ({}, 1)


@pytest.mark.feature("AUD-11")
async def test_a_person_without_records_can_be_erased_beforehand(audit: Audit, events: Events) -> None:
    with current.as_system():
        assert await audit.erase_subject("usr_new", "objection") == 0
    with person():
        await events.announce(BadgePrinted(badge_id="bdg_1", user_id="usr_new", holder="New Roe"))
        [event] = await found(audit)
    assert event.personal == {}


@pytest.mark.feature("AUD-07")
async def test_an_export_proves_itself(audit: Audit, events: Events) -> None:
    with person(), current.receiving(request()):
        for number in range(3):
            await events.announce(BadgePrinted(badge_id=f"bdg_{number}", holder="Bob Roe"))
        records = [record async for record in audit.export(AuditQuery(action="badge.*"))]
        [noted] = await found(audit, action="audit.exported")
    assert noted.changes == {"action": "badge.*"}
    for record in records:
        assert hashlib.sha256(b"\0" + record.body.encode()).hexdigest() == record.leaf
        digests = [sha256_of(disclosure) for disclosure in record.disclosures]
        assert sorted(digests) == json.loads(record.body)["_sd"]
    assert [json.loads(record.body)["target"][0]["id"] for record in records] == ["bdg_0", "bdg_1", "bdg_2"]
    assert {record.origin for record in records} == {"bartizan/org_acme"}
    assert {len(record.disclosures) for record in records} == {3}


@pytest.mark.feature("AUD-07")
async def test_a_long_export_comes_in_pieces_and_loses_nothing(audit: Audit, database: Database) -> None:
    with person():
        async with database.transaction():
            for number in range(1001):
                await audit.log("page.turned", details={"number": number})
        records = [record async for record in audit.export(AuditQuery(action="page.turned"))]
    numbers = [json.loads(record.body)["changes"]["number"] for record in records]
    assert numbers == list(range(1001))


@pytest.mark.feature("AUD-07")
async def test_an_export_of_an_empty_log_is_empty(audit: Audit) -> None:
    with person():
        assert [record async for record in audit.export(AuditQuery(action="badge.*"))] == []


async def test_parallel_changes_about_one_new_person_share_a_key(audit: Audit, events: Events) -> None:
    async def announce(number: int) -> None:
        with person(f"usr_{number % 3}"):
            badge = BadgePrinted(badge_id=f"bdg_{number}", user_id="usr_bob", holder=f"Bob {number}")
            await events.announce(badge)

    await asyncio.gather(*(announce(number) for number in range(12)))
    with person():
        shown = await found(audit)
    assert {event.personal["holder"] for event in shown} == {f"Bob {number}" for number in range(12)}


@pytest.mark.feature("AUD-03", "AUD-06")
async def test_the_log_is_searched_and_written_over_http(audit: Audit) -> None:
    assert capability.routes is not None
    app = FastAPI()
    app.include_router(capability.routes(audit), prefix="/api/v1")
    transport = httpx.ASGITransport(app)
    with person():
        async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as client:
            entry = {"action": "report.exported", "resource_type": "report", "details": {"pages": 3}}
            written = await client.post("/audit", json=entry)
            bad = await client.post("/audit", json={"action": "Export!"})
            extra = await client.post("/audit", json={**entry, "actor": "usr_root"})
            listed = await client.get("/audit", params={"action": "report.*", "limit": 5})
            alias = await client.get("/admin/audit", params={"action": "report.*"})
            got = await client.get(f"/audit/{written.json()['id']}")
            unknown = await client.get("/audit", params={"colour": "red"})
    assert written.status_code == 201
    assert (bad.status_code, extra.status_code, unknown.status_code) == (422, 422, 422)
    assert listed.json()["items"] == alias.json()["items"] == [written.json()] == [got.json()]
