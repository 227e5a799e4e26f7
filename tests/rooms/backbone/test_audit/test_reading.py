"""Who may read the audit log, and what they find there."""

import asyncio
import hashlib
import json
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI

from bartizan.backbone.audit import (
    Audit,
    AuditQuery,
    NewAuditEntry,
    UnknownAuditEvent,
)
from bartizan.backbone.audit.capability import capability
from bartizan.backbone.events import Events
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import OperatorsOnly, PermissionMissing, current
from bartizan.foundation.crypto import Keyring
from bartizan.foundation.database import Database
from bartizan.foundation.errors import Invalid

from .facts import (
    ACME,
    FIREFOX,
    GLOBEX,
    BadgePrinted,
    found,
    person,
    request,
    sha256_of,
)


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
        assert sorted(numbers) == list(range(7))
        assert [number // 2 for number in numbers] == [3, 2, 2, 1, 1, 0, 0]  # newest first, by moment


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
