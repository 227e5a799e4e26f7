"""The doctor on database, keys, audit log and queue: each is broken for real, found, and repaired."""

import json
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bartizan.backbone.jobs import GiveUp, JobContext, Worker
from bartizan.foundation.clock import Clock, ManualClock
from bartizan.house import Bartizan
from tests.doors.health.conftest import Doctor, sql, within
from tests.harness.databases import PostgreSQL


@pytest.mark.feature("X-30", "CORE-18")
def test_pending_migrations_are_found_and_made_up_for(doctor: Doctor, database_url: str) -> None:
    within(lambda house: house.database.migrate("base"))
    found = doctor()
    assert (found.code, found.state("database.revision")) == (1, "problem")
    assert "bartizan migrate" in found.what("database.revision")
    assert found.state("jobs.dead") == "unknown"
    mended = doctor("--fix")
    assert mended.state("database.revision") == "ok"
    assert any("Migrated the tables from nothing" in repair for repair in mended.repairs)
    assert mended.code == 0


def test_tables_of_a_newer_version_are_not_touched(doctor: Doctor, database_url: str) -> None:
    here: list[str] = []

    async def note(house: Bartizan) -> None:
        here.append(str(await house.database.revision()))

    within(note)
    sql(database_url, "UPDATE bz_alembic_version SET version_num = '9999'")
    try:
        found = doctor("--fix")
    finally:
        sql(database_url, f"UPDATE bz_alembic_version SET version_num = '{here[0]}'")
    assert (found.code, found.state("database.revision")) == (1, "problem")
    assert not any("Migrated" in repair for repair in found.repairs)
    assert "newer" in found.what("database.revision")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://u:geheim@h/x", "cannot be read"),
        ("not a url", "cannot be read"),
        ("postgresql://u:geheim@127.0.0.1:1/x", "nobody listens there"),
        ("postgresql://u:geheim@no-such-host.invalid/x", "the name has no address"),
        ("sqlite:////nowhere/at/all.db", "the file cannot be opened"),
        ("sqlite:///broken.db", "the file is not a SQLite database"),
    ],
)
@pytest.mark.feature("X-30")
def test_a_database_that_gives_no_answer_is_explained(
    doctor: Doctor, place: Path, monkeypatch: pytest.MonkeyPatch, url: str, words: str
) -> None:
    (place / "broken.db").write_bytes(b"this is no database" * 100)
    monkeypatch.setenv("BARTIZAN_DATABASE", url)
    found = doctor()
    assert found.code == 1
    said = json.dumps(found.said)
    assert words in said
    assert "geheim" not in said
    assert found.state("database.revision") == "unknown"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.feature("X-30")
def test_a_server_that_refuses_is_explained(
    doctor: Doctor, postgresql: PostgreSQL, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    role, _, rest = database_url.partition("://")[2].partition(":")
    password, _, host = rest.partition("@")
    monkeypatch.setenv("BARTIZAN_DATABASE", f"postgresql+asyncpg://{role}:wrong@{host}")
    wrong = doctor()
    assert "refuses the password" in wrong.what("database.answers")
    monkeypatch.setenv("BARTIZAN_DATABASE", f"postgresql+asyncpg://{role}:{password}@{host}_gone")
    assert "has no such database" in doctor().what("database.answers")
    monkeypatch.setenv("BARTIZAN_DATABASE", database_url)
    name = database_url.rpartition("/")[2]
    postgresql.turn_away(name)
    try:
        assert "lets nobody in" in doctor().what("database.answers")
    finally:
        postgresql.welcome(name)
    assert doctor().state("database.answers") == "ok"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.feature("X-30", "TEN-07")
def test_a_lowered_wall_is_found_and_raised_again(doctor: Doctor, database_url: str) -> None:
    sql(database_url, "ALTER TABLE bz_api_keys NO FORCE ROW LEVEL SECURITY")
    found = doctor()
    assert (found.code, found.state("database.walls")) == (1, "problem"), found.what("database.walls")
    assert "bz_api_keys" in found.what("database.walls")
    mended = doctor("--fix")
    assert mended.state("database.walls") == "ok"
    assert mended.repairs == ["Raised the wall around bz_api_keys."]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.feature("X-30", "TEN-07")
def test_a_role_that_row_level_security_does_not_bind_is_a_problem(
    doctor: Doctor, postgresql: PostgreSQL, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = postgresql.operators_address_of(database_url.rpartition("/")[2])
    monkeypatch.setenv("BARTIZAN_DATABASE", address.replace("postgresql://", "postgresql+asyncpg://"))
    found = doctor()
    assert found.state("database.role") == "problem"
    assert "CREATE ROLE" in found.what("database.role")
    monkeypatch.setenv("BARTIZAN_DATABASE_OPTIONS__ALLOW_SUPERUSER", "true")
    assert doctor().state("database.role") == "warning"


def test_a_table_that_was_changed_by_hand_is_told(doctor: Doctor, database_url: str) -> None:
    sql(database_url, "ALTER TABLE bz_api_keys ADD COLUMN extra integer")
    found = doctor()
    assert found.state("database.tables") == "warning"
    assert "extra" in found.what("database.tables")


@pytest.mark.feature("X-30", "AUD-02")
def test_a_changed_audit_record_and_a_missing_guard_are_found(doctor: Doctor, database_url: str) -> None:
    async def write(house: Bartizan) -> None:
        async with house.database.transaction():
            await house.audit.log("invoice.sent", details={"number": 7})

    within(write)
    assert "newest 1 audit" in doctor().what("audit.intact")
    off = ["ALTER TABLE bz_audit_events DISABLE TRIGGER USER"]
    if database_url.startswith("sqlite"):
        off = ["DROP TRIGGER bz_audit_events_no_update"]
    sql(database_url, *off, "UPDATE bz_audit_events SET action = 'invoice.lost'")
    found = doctor()
    assert (found.code, found.state("audit.intact"), found.state("audit.guarded")) == (
        1,
        "problem",
        "problem",
    )
    assert "1 of the newest 1" in found.what("audit.intact")


@pytest.mark.feature("X-30")
def test_an_overdue_signing_key_is_replaced(doctor: Doctor) -> None:
    async def sign(house: Bartizan) -> None:
        await house.signing_keys.jwks()

    within(sign, ManualClock(Clock().now() - timedelta(days=200)))
    found = doctor()
    assert found.state("keys.signing") == "warning"
    assert "200 days" in found.what("keys.signing")
    mended = doctor("--fix")
    assert mended.state("keys.signing") == "ok"
    assert "Replaced the signing key" in mended.repairs[-1]


@pytest.mark.feature("X-30")
def test_a_secret_key_that_was_replaced_is_noticed_and_one_in_rotation_is_finished(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = secrets.token_urlsafe(48), secrets.token_urlsafe(48)
    monkeypatch.setenv("BARTIZAN_SECRET_KEY", old)

    async def sign(house: Bartizan) -> None:
        await house.signing_keys.jwks()

    within(sign)
    monkeypatch.setenv("BARTIZAN_SECRET_KEY", new)
    lost = doctor()
    assert (lost.code, lost.state("keys.signing")) == (1, "problem")
    assert "new,old" in lost.what("keys.signing")
    monkeypatch.setenv("BARTIZAN_SECRET_KEY", f"{new},{old}")
    assert doctor().state("keys.sealed") == "warning"
    assert "Put 1 signing keys" in doctor("--fix").repairs[-1]
    assert doctor().state("keys.sealed") == "ok"
    monkeypatch.setenv("BARTIZAN_SECRET_KEY", "short")
    assert doctor().state("keys.secret") == "warning"
    monkeypatch.setenv("BARTIZAN_SECRET_KEY", f"{new},{new}")
    assert "twice" in doctor().what("keys.secret")
    monkeypatch.setenv("BARTIZAN_SECRET_KEY", f"{new},{old},{secrets.token_urlsafe(48)}")
    assert "3 secret keys" in doctor().what("keys.secret")


@pytest.mark.feature("X-30", "JOB-01")
def test_dead_jobs_overdue_jobs_and_a_missing_worker_are_told(doctor: Doctor) -> None:
    assert "No worker has run" in doctor().what("jobs.worker")

    async def give_up(_payload: dict[str, Any], _job: JobContext) -> None:
        raise GiveUp("the printer is out of paper")

    async def work(house: Bartizan) -> None:
        house.jobs.handler("invoice.print", give_up)
        await house.jobs.enqueue("invoice.print", {})
        await Worker(house.jobs).run_pending()
        await house.jobs.enqueue("invoice.print", {}, run_at=house.clock.now() - timedelta(minutes=30))

    within(work)
    found = doctor()
    assert found.state("jobs.worker") == "ok"
    assert "out of paper" in found.what("jobs.dead")
    assert found.state("jobs.delay") in {"problem", "ok"}
