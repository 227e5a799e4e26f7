"""What happens when the audit log cannot be written."""

import asyncio
import sqlite3
import stat
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from bartizan.backbone.audit import Audit, AuditEvent, AuditQuery, AuditSettings, AuditUnavailable
from bartizan.backbone.events import Events
from bartizan.foundation.capability import Event
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller, Origin, current
from bartizan.foundation.crypto import Keyring
from bartizan.foundation.database import Database

ANN = Caller(
    id="usr_ann", kind="user", user_id="usr_ann", org_id="org_acme", permissions=frozenset({"audit:read"})
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BadgePrinted(Event):
    """A badge was printed."""

    personal: ClassVar[frozenset[str]] = frozenset({"holder"})

    badge_id: str
    holder: str = "Bob Roe"


@pytest.fixture
def events(database: Database, clock: ManualClock) -> Events:
    return Events(database, clock=clock)


@pytest.fixture
def queued(tmp_path: Path) -> AuditSettings:
    return AuditSettings(on_failure="queue", spool=tmp_path / "deep" / "spool.db", spool_limit=5)


@asynccontextmanager
async def broken(database: Database, table: str = "bz_audit_events") -> AsyncGenerator[None]:
    """Take a table away for a while."""
    await database.write(lambda c: c.exec_driver_sql(f"ALTER TABLE {table} RENAME TO {table}_away"))
    try:
        yield
    finally:
        await database.write(lambda c: c.exec_driver_sql(f"ALTER TABLE {table}_away RENAME TO {table}"))


async def found(audit: Audit, action: str = "*") -> Sequence[AuditEvent]:
    page = await audit.search(AuditQuery(action=action))
    return [event for event in page.items if event.action != "audit.read"]


def waiting(settings: AuditSettings) -> int:
    if not settings.spool.exists():
        return 0
    connection = sqlite3.connect(settings.spool)
    [count] = connection.execute("SELECT count(*) FROM spool").fetchone()
    connection.close()
    return int(count)


@pytest.mark.feature("AUD-12")
@pytest.mark.parametrize("table", ["bz_audit_events", "bz_audit_disclosures", "bz_audit_subject_keys"])
async def test_without_its_record_a_change_does_not_happen(
    database: Database, events: Events, clock: ManualClock, table: str
) -> None:
    audit = Audit(database, events, Keyring(["k" * 43]), clock=clock)
    with current.acting_as(ANN):
        async with broken(database, table):
            with pytest.raises(AuditUnavailable):  # noqa: PT012
                async with database.transaction():
                    assert await events.first_time("printer", "evt_1")
                    await events.announce(BadgePrinted(badge_id="bdg_1"))
        assert await events.first_time("printer", "evt_1")
        with current.as_system("org_acme"):
            assert (await events.list()).items == []
        assert await found(audit) == []


@pytest.mark.feature("AUD-12")
async def test_a_request_that_cannot_be_recorded_is_a_fault(
    database: Database, events: Events, clock: ManualClock
) -> None:
    audit = Audit(database, events, Keyring(["k" * 43]), clock=clock)
    origin = Origin(request_id="req_1", method="POST", path="/badges", ip="203.0.113.9")
    with current.acting_as(ANN), current.receiving(origin):
        async with broken(database):
            with pytest.raises(AuditUnavailable):
                await audit.request(200)
        assert origin.recorded == []
        await audit.request(200)
        assert [event.action for event in await found(audit)] == ["request.posted"]


@pytest.mark.feature("AUD-12")
async def test_the_other_policy_lets_the_change_happen_and_writes_the_record_later(
    database: Database, events: Events, clock: ManualClock, queued: AuditSettings
) -> None:
    audit = Audit(database, events, Keyring(["k" * 43]), queued, clock=clock)
    origin = Origin(request_id="req_1", method="POST", path="/badges", ip="203.0.113.9")
    happened = clock.now()
    with current.acting_as(ANN):
        async with broken(database):
            async with database.transaction():
                assert await events.first_time("printer", "evt_1")
                await events.announce(BadgePrinted(badge_id="bdg_1"))
            with current.receiving(origin):
                await audit.request(200)
        assert not await events.first_time("printer", "evt_1")
        assert waiting(queued) == 2
        assert stat.S_IMODE(queued.spool.stat().st_mode) == 0o600
        assert b"Bob Roe" not in queued.spool.read_bytes()
        assert b"203.0.113.9" not in queued.spool.read_bytes()

        clock.advance(15)
        await events.announce(BadgePrinted(badge_id="bdg_2"))
        assert waiting(queued) == 0
        shown = {event.changes.get("badge_id", "request"): event for event in await found(audit)}
    assert shown.keys() == {"bdg_1", "bdg_2", "request"}
    assert shown["bdg_1"].time == shown["request"].time == happened
    assert shown["bdg_1"].personal == {"holder": "Bob Roe"}
    assert shown["request"].personal == {"ip": "203.0.113.9"}
    assert not any(event.unconfirmed for event in shown.values())
    assert all(event.intact for event in shown.values())


@pytest.mark.feature("AUD-12")
async def test_records_of_a_person_first_seen_during_the_failure_can_be_read_afterwards(
    database: Database, events: Events, clock: ManualClock, queued: AuditSettings
) -> None:
    audit = Audit(database, events, Keyring(["k" * 43]), queued, clock=clock)
    with current.acting_as(ANN):
        async with broken(database):
            await events.announce(BadgePrinted(badge_id="bdg_1"))
        await events.announce(BadgePrinted(badge_id="bdg_2"))
        assert await audit.drain() == 1
        assert await audit.drain() == 0
        assert [event.personal for event in await found(audit)] == [{"holder": "Bob Roe"}] * 2


@pytest.mark.feature("AUD-12")
async def test_a_record_whose_transaction_nobody_saw_commit_is_written_with_that_remark(
    database: Database, events: Events, clock: ManualClock, queued: AuditSettings
) -> None:
    audit = Audit(database, events, Keyring(["k" * 43]), queued, clock=clock)
    with current.acting_as(ANN):
        async with broken(database):
            with pytest.raises(RuntimeError):  # noqa: PT012
                async with database.transaction():
                    await events.announce(BadgePrinted(badge_id="bdg_1"))
                    database.before_commit(lambda: database.before_commit(_fail))  # behind what writes
        assert waiting(queued) == 1
        assert await audit.drain() == 0
        clock.advance(301)
        assert await audit.drain() == 1
        [event] = await found(audit)
    assert event.unconfirmed


def _fail() -> None:
    raise RuntimeError("the process died here")


@pytest.mark.feature("AUD-12")
async def test_a_full_file_blocks_and_drops_nothing(
    database: Database, events: Events, clock: ManualClock, queued: AuditSettings
) -> None:
    audit = Audit(database, events, Keyring(["k" * 43]), queued, clock=clock)
    with current.acting_as(ANN):
        async with broken(database):
            for number in range(5):
                await events.announce(BadgePrinted(badge_id=f"bdg_{number}"))
            with pytest.raises(AuditUnavailable, match="full"):
                await events.announce(BadgePrinted(badge_id="bdg_5"))
        assert waiting(queued) == 5
        assert await audit.drain() == 5
        assert len(await found(audit)) == 5
        with current.as_system("org_acme"):
            assert len((await events.list()).items) == 5


@pytest.mark.feature("AUD-12")
async def test_a_crash_while_draining_writes_nothing_twice(
    database: Database, events: Events, clock: ManualClock, queued: AuditSettings, tmp_path: Path
) -> None:
    audit = Audit(database, events, Keyring(["k" * 43]), queued, clock=clock)
    with current.acting_as(ANN):
        async with broken(database):
            await events.announce(BadgePrinted(badge_id="bdg_1"))
        kept = await asyncio.to_thread(queued.spool.read_bytes)
        assert await audit.drain() == 1
        await asyncio.to_thread(queued.spool.write_bytes, kept)
        assert await audit.drain() == 0
        assert waiting(queued) == 0
        assert len(await found(audit)) == 1


@pytest.mark.feature("AUD-12")
async def test_a_log_that_stays_broken_is_tried_again_later(
    database: Database,
    events: Events,
    clock: ManualClock,
    queued: AuditSettings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    audit = Audit(database, events, Keyring(["k" * 43]), queued, clock=clock)
    with current.acting_as(ANN):
        async with broken(database):
            await events.announce(BadgePrinted(badge_id="bdg_1"))
        queued.spool.chmod(0o000)
        await asyncio.to_thread(queued.spool.rename, queued.spool.with_suffix(".away"))
        queued.spool.mkdir()
        clock.advance(15)
        await events.announce(BadgePrinted(badge_id="bdg_2"))
        assert "still kept" in caplog.text

        async with broken(database):
            with pytest.raises(AuditUnavailable):
                await events.announce(BadgePrinted(badge_id="bdg_3"))
        queued.spool.rmdir()
        await asyncio.to_thread(queued.spool.with_suffix(".away").rename, queued.spool)
        queued.spool.chmod(0o600)
        clock.advance(15)
        await events.announce(BadgePrinted(badge_id="bdg_4"))
        assert {event.changes["badge_id"] for event in await found(audit)} == {"bdg_1", "bdg_2", "bdg_4"}


@pytest.mark.feature("AUD-12")
async def test_a_commit_that_cannot_be_noted_is_remarked_on(
    database: Database,
    events: Events,
    clock: ManualClock,
    queued: AuditSettings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    audit = Audit(database, events, Keyring(["k" * 43]), queued, clock=clock)
    away = queued.spool.with_suffix(".away")

    def lose_the_file() -> None:
        queued.spool.rename(away)
        queued.spool.mkdir()

    with current.acting_as(ANN):
        async with broken(database), database.transaction():
            await events.announce(BadgePrinted(badge_id="bdg_1"))
            database.before_commit(lambda: database.before_commit(lose_the_file))  # behind what writes
        assert "unconfirmed" in caplog.text
        queued.spool.rmdir()
        await asyncio.to_thread(away.rename, queued.spool)
        clock.advance(301)
        assert await audit.drain() == 1
        [event] = await found(audit)
    assert event.unconfirmed
