"""Changing, removing or reading what the audit log holds must fail, or show."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from sqlalchemy.exc import DBAPIError

from bartizan.backbone.audit import Audit, AuditQuery, UnknownAuditEvent
from bartizan.backbone.events import Events
from bartizan.foundation.capability import Event
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller, Origin, current
from bartizan.foundation.crypto import Keyring
from bartizan.foundation.database import Database

TRIGGERS = {
    "postgresql": [
        "ALTER TABLE bz_audit_events DISABLE TRIGGER USER",
    ],
    "sqlite": [
        "DROP TRIGGER bz_audit_events_no_update",
        "DROP TRIGGER bz_audit_events_no_delete",
    ],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientAdmitted(Event):
    """A patient was admitted."""

    target: ClassVar[str | None] = "patient_id"
    personal: ClassVar[frozenset[str]] = frozenset({"full_name", "email"})

    patient_id: str
    full_name: str = "Bob Roe"
    email: str = "bob@acme.example"


@pytest.fixture
def events(database: Database, clock: ManualClock) -> Events:
    return Events(database, clock=clock)


@pytest.fixture
def audit(database: Database, events: Events, clock: ManualClock) -> Audit:
    return Audit(database, events, Keyring(["k" * 43]), clock=clock)


@contextmanager
def member(org_id: str = "org_acme") -> Generator[None]:
    caller = Caller(
        id="usr_ann",
        kind="user",
        user_id="usr_ann",
        org_id=org_id,
        email="ann@acme.example",
        permissions=frozenset({"audit:read"}),
    )
    origin = Origin(
        request_id="req_1",
        ip="203.0.113.9",
        user_agent="Netscape/4",
        method="POST",
        path="/patients/bob@acme.example?email=bob@acme.example",
    )
    with current.acting_as(caller), current.receiving(origin):
        yield


async def run(database: Database, *statements: str) -> None:
    for statement in statements:
        await database.write(lambda connection, sql=statement: connection.exec_driver_sql(sql))  # type: ignore[misc]


async def rows(database: Database, statement: str) -> list[tuple[Any, ...]]:
    return await database.write(
        lambda connection: [tuple(row) for row in connection.exec_driver_sql(statement).fetchall()]
    )


@pytest.mark.feature("AUD-04")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE bz_audit_events SET outcome = 'failure'",
        "DELETE FROM bz_audit_events",
        "DELETE FROM bz_audit_events WHERE number = (SELECT max(number) FROM bz_audit_events)",
        "TRUNCATE bz_audit_events",
    ],
)
async def test_the_database_itself_refuses_to_change_a_record(
    audit: Audit, events: Events, database: Database, statement: str
) -> None:
    with member():
        await events.announce(PatientAdmitted(patient_id="pat_1"))
    with pytest.raises(DBAPIError):
        await run(database, statement)
    assert await rows(database, "SELECT count(*) FROM bz_audit_events WHERE outcome = 'success'") == [(1,)]


@pytest.mark.feature("AUD-04")
@pytest.mark.parametrize(
    "change",
    [
        "outcome = 'failure'",
        "actor_id = 'usr_mallory'",
        "target_id = 'pat_2'",
        "action = 'patient.dismissed'",
        "occurred_at = '2001-01-01 00:00:00+00'",
    ],
)
async def test_who_removes_the_guard_and_edits_a_record_is_found_out(
    audit: Audit, events: Events, database: Database, change: str
) -> None:
    with member():
        await events.announce(PatientAdmitted(patient_id="pat_1"))
        change = change.replace("+00", "" if database.kind == "sqlite" else "+00")
        await run(database, *TRIGGERS[database.kind], f"UPDATE bz_audit_events SET {change}")
        [event] = [e for e in (await audit.search(AuditQuery())).items if e.action != "audit.read"]
        assert not event.intact


@pytest.mark.feature("AUD-04")
async def test_a_spoilt_body_is_shown_by_its_columns_and_marked(
    audit: Audit, events: Events, database: Database
) -> None:
    with member():
        await events.announce(PatientAdmitted(patient_id="pat_1"))
        zero = "x'00'" if database.kind == "sqlite" else "'\\x00'"
        await run(database, *TRIGGERS[database.kind], f"UPDATE bz_audit_events SET body = {zero}")
        [event] = (await audit.search(AuditQuery(action="patient.*"))).items
    assert not event.intact
    assert event.action == "patient.admitted"
    assert event.personal == {}


@pytest.mark.feature("AUD-11")
async def test_no_personal_data_is_in_any_column_that_cannot_be_erased(
    audit: Audit, events: Events, database: Database
) -> None:
    with member():
        await events.announce(PatientAdmitted(patient_id="pat_1"))
    everything = str(await rows(database, "SELECT * FROM bz_audit_events"))
    assert "pat_1" in everything
    everything += str(await rows(database, "SELECT * FROM bz_audit_disclosures"))
    everything += str(await rows(database, "SELECT * FROM bz_audit_subject_keys"))
    for secret in ("Bob", "bob@acme.example", "ann@acme.example", "203.0.113.9", "Netscape"):
        assert secret not in everything


@pytest.mark.feature("AUD-11")
async def test_disclosures_of_another_record_do_not_pass(
    audit: Audit, events: Events, database: Database
) -> None:
    with member():
        await events.announce(PatientAdmitted(patient_id="pat_1", full_name="Bob Roe"))
        await events.announce(PatientAdmitted(patient_id="pat_2", full_name="Cat Roe"))
        await run(
            database,
            "UPDATE bz_audit_disclosures SET sealed = (SELECT sealed FROM bz_audit_disclosures "
            "ORDER BY event_id LIMIT 1)",
        )
        events_shown = (await audit.search(AuditQuery(action="patient.*"))).items
    swapped, own = events_shown
    # Address and program are disclosed once a minute: where both say the same, they are the same.
    assert swapped.personal.keys() <= {"ip", "user_agent"}
    assert (swapped.withheld, own.withheld) == (2, 0)
    assert own.personal["full_name"] == "Bob Roe"


@pytest.mark.feature("AUD-11")
async def test_a_sealed_detail_that_was_altered_is_withheld(
    audit: Audit, events: Events, database: Database
) -> None:
    with member():
        await events.announce(PatientAdmitted(patient_id="pat_1"))
        zero = "x'00'" if database.kind == "sqlite" else "'\\x00'"
        await run(database, f"UPDATE bz_audit_disclosures SET sealed = {zero}")
        [event] = (await audit.search(AuditQuery(action="patient.*"))).items
    assert (event.personal, event.withheld, event.intact) == ({}, 4, True)


@pytest.mark.feature("AUD-06", "X-01")
async def test_another_organization_sees_nothing(audit: Audit, events: Events) -> None:
    with member("org_acme"):
        await events.announce(PatientAdmitted(patient_id="pat_1"))
        [event] = (await audit.search(AuditQuery(action="patient.*"))).items
    with member("org_globex"):
        for query in (
            AuditQuery(action="patient.*"),
            AuditQuery(request_id="req_1"),
            AuditQuery(ip="203.0.113.9"),
        ):
            assert all(e.org_id == "org_globex" for e in (await audit.search(query)).items)
        with pytest.raises(UnknownAuditEvent):
            await audit.get(event.id)
