"""Who was refused is on record: with the address, and never more often than is useful."""

from collections.abc import Sequence

import pytest

from bartizan.access.ip_allowlist import AddressNotAllowed
from bartizan.backbone.audit import AuditEvent, AuditQuery
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import current
from bartizan.house import Bartizan

from .conftest import AWAY, HOME, Acme, appoint, seen


async def records(acme: Acme, org: str | None = None) -> Sequence[AuditEvent]:
    await acme.bz.ip_allowlist.refresh()
    with current.as_system(None if org else acme.id):
        return (await acme.bz.audit.search(AuditQuery(action="address.refused", org=org, limit=200))).items


async def refuse(acme: Acme, ip: str | None) -> None:
    caller = await acme.caller(acme.member)
    with current.receiving(seen(ip)):
        refusal = acme.bz.ip_allowlist.refuses(ip, caller, "bearer")
    assert isinstance(refusal, AddressNotAllowed)


@pytest.mark.feature("NET-01")
async def test_a_refusal_tells_the_address_and_nothing_of_the_rules(acme: Acme) -> None:
    await acme.rule(HOME, "10.0.0.0/8", role="member")
    refusal = acme.bz.ip_allowlist.refuses(AWAY, await acme.caller(acme.member), "cookie")
    assert isinstance(refusal, AddressNotAllowed)
    assert refusal.code == "address-not-allowed"
    assert refusal.facts == {"your_address": AWAY}
    assert AWAY in str(refusal)
    for secret in (HOME, "10.0", "member", "role", "rule"):
        assert secret not in str(refusal)


@pytest.mark.feature("NET-01")
async def test_a_refusal_is_recorded_once_a_minute_for_each_address(acme: Acme, clock: ManualClock) -> None:
    await acme.rule(HOME)
    for _ in range(5):
        await refuse(acme, AWAY)
    await refuse(acme, "2001:db8::1")
    await refuse(acme, "2001:db8::ffff:1")
    await refuse(acme, None)
    found = await records(acme)
    assert [record.personal["address"] for record in found] == ["unknown", "2001:db8::1", AWAY]
    assert {record.outcome for record in found} == {"denied"}
    assert {record.actor.id for record in found} == {acme.member.id}
    assert found[2].personal["ip"] == AWAY
    assert found[2].changes == {"level": "organization", "left_out": 0}
    await refuse(acme, AWAY)
    assert len(await records(acme)) == 3
    clock.advance(61)
    await refuse(acme, AWAY)
    assert len(await records(acme)) == 4


@pytest.mark.feature("NET-01")
async def test_a_flood_of_addresses_does_not_fill_the_log_and_is_counted(
    acme: Acme, clock: ManualClock
) -> None:
    await acme.rule(HOME)
    for number in range(90):
        await refuse(acme, f"198.51.100.{number}")
    found = await records(acme)
    assert len(found) == 60
    assert sum(record.changes["left_out"] for record in found) == 30
    clock.advance(61)
    await refuse(acme, AWAY)
    assert (await records(acme))[0].changes["left_out"] == 0


async def test_no_more_wait_in_memory_than_is_said(bz: Bartizan, acme: Acme) -> None:
    await appoint(bz, acme.owner)
    await acme.rule(HOME, level="global")
    bz.ip_allowlist._refusals._settings = bz.settings.ip_allowlist.model_copy(
        update={"refusals_per_minute": 10_000}
    )
    for number in range(1_500):
        assert bz.ip_allowlist.refuses_address(f"10.0.{number >> 8}.{number & 255}")
    assert len(bz.ip_allowlist._refusals._waiting) == 1_000


@pytest.mark.feature("NET-01")
async def test_strangers_whom_the_platform_refuses_are_in_its_own_log(acme: Acme) -> None:
    await appoint(acme.bz, acme.owner)
    await acme.rule(HOME, level="global")
    with current.receiving(seen(AWAY)):
        assert acme.bz.ip_allowlist.refuses_address(AWAY)
    assert acme.bz.ip_allowlist.refuses_address("not an address: " + "x" * 100)
    assert acme.bz.ip_allowlist.refuses_address("::x")
    found = await records(acme, "platform")
    assert [record.actor.type for record in found] == ["anonymous"] * 3
    assert [len(record.personal["address"]) for record in found] == [3, 64, len(AWAY)]
    assert await records(acme) == []


async def test_what_waits_is_written_when_the_house_closes(bz: Bartizan, acme: Acme) -> None:
    await acme.rule(HOME)
    await refuse(acme, AWAY)
    await bz.stop()
    await bz.start(embedded=False)
    assert len(await records(acme)) == 1
