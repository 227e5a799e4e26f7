"""Two replicas on one database: a change on one holds on the other within seconds, and nothing is dropped."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from bartizan.access.ip_allowlist import IpAllowlistSettings, IpRuleChanges, IpRulesUnread
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller, current
from bartizan.house import Bartizan

from .conftest import AWAY, HOME, Acme, appoint, found, seen

VERSIONS, HIDDEN = "bz_ip_allowlist_versions", "bz_ip_allowlist_hidden"
CALLER = Caller(id="usr_x", kind="user", user_id="usr_x")


@pytest.fixture
async def other(bartizan_settings: dict[str, Any], clock: ManualClock) -> AsyncGenerator[Bartizan]:
    """Another replica, which looks for changes all the time."""
    settings = bartizan_settings | {"ip_allowlist": {"refresh_seconds": 0.02}}
    house = Bartizan(settings, clock=clock)
    await house.start(embedded=False)
    yield house
    await house.stop()


def changed(bz: Bartizan) -> asyncio.Event:
    """Give what is set when other rules hold."""
    happened = asyncio.Event()
    bz.ip_allowlist.on_change(happened.set)
    return happened


async def rename(bz: Bartizan, old: str, new: str) -> None:
    """Take a table away, so that whoever reads it fails, or bring it back."""
    async with bz.database.transaction() as session:
        await session.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))


@pytest.mark.feature("ID-06", "NET-01")
async def test_another_replica_sees_a_change_by_itself(other: Bartizan, acme: Acme) -> None:
    caller, happened = await acme.caller(acme.member), changed(other)
    assert other.ip_allowlist.refuses(AWAY, caller, "bearer") is None
    made = await acme.rule(HOME)
    async with asyncio.timeout(30):
        await happened.wait()
    assert other.ip_allowlist.refuses(AWAY, caller, "bearer")
    happened.clear()
    with current.acting_as(await acme.caller(acme.owner)), current.receiving(seen(HOME)):
        await acme.bz.ip_allowlist.update(made.id, IpRuleChanges(enabled=False))
    async with asyncio.timeout(30):
        await happened.wait()
    assert other.ip_allowlist.refuses(AWAY, caller, "bearer") is None
    assert not other.ip_allowlist.has_rules(acme.id)


@pytest.mark.feature("ID-06")
def test_a_replica_never_looks_away_for_longer_than_five_seconds() -> None:
    assert IpAllowlistSettings().refresh_seconds <= 3
    with pytest.raises(ValueError, match="less than or equal to 3"):
        IpAllowlistSettings(refresh_seconds=3.1)


@pytest.mark.feature("ID-06")
async def test_a_wake_up_reads_only_what_changed(bz: Bartizan, other: Bartizan, acme: Acme) -> None:
    globex = await found(bz, "Globex")
    await appoint(bz, globex.owner)
    await acme.rule(HOME)
    await globex.rule("203.0.113.0/24", level="global")
    await globex.rule(HOME)
    await other.ip_allowlist.refresh()
    for company in (acme, globex):
        caller = await company.caller(company.member)
        assert other.ip_allowlist.refuses(AWAY, caller, "bearer")
        assert other.ip_allowlist.refuses(HOME, caller, "bearer") is None
    assert other.ip_allowlist.refuses_address(AWAY)


async def test_whoever_remembers_callers_hears_of_every_change(bz: Bartizan, acme: Acme) -> None:
    forgot: list[bool] = []
    caller = await acme.caller(acme.member)
    bz.on_access_changed(lambda: forgot.append(bz.ip_allowlist.refuses(AWAY, caller, "bearer") is not None))
    await acme.rule(HOME)
    assert forgot[-1], "when the last call comes, the new rules hold already"
    forgot.clear()
    await bz.ip_allowlist.refresh()
    assert forgot == []


async def test_a_restored_backup_is_read_anew_although_it_counts_from_a_lower_number(
    bz: Bartizan, acme: Acme
) -> None:
    globex = await found(bz, "Globex")
    await acme.rule(HOME)
    await globex.rule(HOME)
    async with bz.database.transaction() as session:
        await session.execute(text("UPDATE bz_ip_allowlist_versions SET version = 1 WHERE scope = '*'"))
        await session.execute(
            text("DELETE FROM bz_ip_allowlist_versions WHERE scope = :org"), {"org": acme.id}
        )
    await bz.ip_allowlist.refresh()
    assert not bz.ip_allowlist.has_rules(acme.id)
    assert bz.ip_allowlist.has_rules(globex.id)


@pytest.mark.feature("NET-01")
async def test_before_the_rules_are_read_nobody_is_let_through(bartizan_settings: dict[str, Any]) -> None:
    house = Bartizan(bartizan_settings)
    try:
        assert isinstance(house.ip_allowlist.refuses_address(HOME), IpRulesUnread)
        assert isinstance(house.ip_allowlist.refuses(HOME, CALLER, "bearer"), IpRulesUnread)
        assert house.ip_allowlist.has_rules(None)
        assert not house.ip_allowlist.fresh
        await house.start(embedded=False)
        assert house.ip_allowlist.refuses_address(HOME) is None
        assert house.ip_allowlist.fresh
    finally:
        await house.stop()


@pytest.mark.feature("NET-01", "OPS-01")
async def test_known_rules_go_on_holding_while_the_database_is_away_and_readiness_says_so(
    bz: Bartizan, acme: Acme, clock: ManualClock
) -> None:
    caller = await acme.caller(acme.member)
    await acme.rule(HOME)
    assert (await bz.readiness())["ip_allowlist"]
    await rename(bz, VERSIONS, HIDDEN)
    clock.advance(59)
    with pytest.raises(SQLAlchemyError):
        await bz.ip_allowlist.refresh()
    assert (await bz.readiness())["ip_allowlist"]
    clock.advance(2)
    assert not (await bz.readiness())["ip_allowlist"]
    assert bz.ip_allowlist.refuses(AWAY, caller, "bearer")
    await rename(bz, HIDDEN, VERSIONS)
    await bz.ip_allowlist.refresh()
    assert (await bz.readiness())["ip_allowlist"]
    assert bz.ip_allowlist.refuses(AWAY, caller, "bearer")


class Said(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(str(record.msg))


@pytest.fixture
def said() -> Iterator[Said]:
    handler, tree = Said(), logging.getLogger("bartizan.access.ip_allowlist")
    tree.addHandler(handler)
    yield handler
    tree.removeHandler(handler)


async def test_the_look_goes_on_after_it_failed(other: Bartizan, acme: Acme, said: Said) -> None:
    await rename(acme.bz, VERSIONS, HIDDEN)
    async with asyncio.timeout(30):
        while "network rules not refreshed" not in str(said.texts):  # noqa: ASYNC110 - a log sets no event
            await asyncio.sleep(0.01)
    await rename(acme.bz, HIDDEN, VERSIONS)
    happened = changed(other)
    await acme.rule(HOME)
    async with asyncio.timeout(30):
        await happened.wait()
    assert other.ip_allowlist.has_rules(acme.id)
    told = [text for text in said.texts if "network rules not refreshed" in text]
    assert len(told) <= 2, "each of the two houses tells of an outage once"


async def test_a_change_that_is_rolled_back_never_holds(bz: Bartizan, acme: Acme) -> None:
    async def fail() -> None:
        async with bz.database.transaction():
            await acme.rule(HOME)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await bz.ip_allowlist.refresh()
    assert not bz.ip_allowlist.has_rules(acme.id)
