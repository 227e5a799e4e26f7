"""Rules tried before they hold: on an address, and on what is on record."""

from typing import Any

import pytest

from bartizan.access.api_keys import NewApiKey
from bartizan.access.ip_allowlist import InvalidIpRule, IpForecast, IpSimulation
from bartizan.doors.testing import Cast, Person
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller, OperatorsOnly, Origin, PermissionMissing, current
from bartizan.house import Bartizan

from .conftest import AWAY, HOME, Acme, appoint, found, seen

DAY = 24 * 60 * 60


async def acts(acme: Acme, who: Caller, ip: str | None, times: int = 1) -> None:
    """Leave traces from an address."""
    for _ in range(times):
        with current.acting_as(who), current.receiving(seen(ip)):
            async with acme.bz.database.transaction():
                await acme.bz.audit.log("invoice.sent")


async def simulate(acme: Acme, *rules: dict[str, Any], by: Person | None = None, **fields: Any) -> IpForecast:
    simulation = IpSimulation.model_validate({"rules": list(rules), **fields})
    with current.acting_as(await acme.caller(by or acme.admin)), current.receiving(None):
        return await acme.bz.ip_allowlist.simulate(simulation)


def refused(forecast: IpForecast) -> set[tuple[str, str, str, int]]:
    return {(one.kind, one.id, one.address, one.count) for one in forecast.refused}


@pytest.mark.feature("X-08")
async def test_a_simulation_names_who_would_have_been_refused(acme: Acme, clock: ManualClock) -> None:
    member = await acme.caller(acme.member)
    with current.acting_as(member):
        issued = await acme.bz.api_keys.issue(NewApiKey(name="ci", scopes=["app:read"]))
    key = (await acme.bz.api_keys.authenticate(issued.secret)).caller()
    await acts(acme, member, "192.0.2.1")
    clock.advance(8 * DAY)
    await acts(acme, member, HOME, 2)
    clock.advance(DAY)
    acme.admin = await Cast(acme.bz).sign_in(acme.admin.id, acme.id, "admin")
    await acts(acme, member, AWAY, 3)
    last = clock.now()
    await acts(acme, key, "2001:db8::1")
    await acts(acme, member, None)
    forecast = await simulate(acme, {"addresses": ["203.0.113.0/24"]})
    assert refused(forecast) == {
        ("people", acme.member.id, AWAY, 3),
        ("keys", issued.id, "2001:db8::1", 1),
    }
    [person] = [one for one in forecast.refused if one.kind == "people"]
    assert (person.email, person.last_seen) == (acme.member.email, last)
    assert (forecast.looked_at, forecast.complete, forecast.more) == (6, True, 0)
    assert refused(await simulate(acme, {"addresses": ["203.0.113.0/24"], "callers": ["people"]})) == {
        ("people", acme.member.id, AWAY, 3)
    }
    assert not await acme.refused(AWAY, acme.admin), "a simulation changes nothing"


@pytest.mark.feature("X-08")
async def test_a_simulation_counts_the_rules_that_there_are_unless_told_otherwise(acme: Acme) -> None:
    await acts(acme, await acme.caller(acme.member), AWAY)
    await acme.rule(AWAY, HOME)
    draft = {"addresses": ["192.0.2.0/24"]}
    assert refused(await simulate(acme, draft)) == set()
    assert ("people", acme.member.id, AWAY, 1) in refused(await simulate(acme, draft, keep=False))


@pytest.mark.feature("X-08")
async def test_a_simulation_of_a_role_looks_at_who_has_it(acme: Acme) -> None:
    admin, member = await acme.caller(acme.admin), await acme.caller(acme.member)
    with current.acting_as(admin):
        issued = await acme.bz.api_keys.issue(NewApiKey(name="ci", scopes=["app:read"]))
    key = (await acme.bz.api_keys.authenticate(issued.secret)).caller()
    for who in (admin, member, key):
        await acts(acme, who, AWAY)
    forecast = await simulate(acme, {"addresses": [HOME], "role": "admin"})
    assert refused(forecast) == {("people", acme.admin.id, AWAY, 1), ("keys", issued.id, AWAY, 1)}


@pytest.mark.feature("X-08")
async def test_a_simulation_looks_at_sessions_too_and_at_no_other_organization(acme: Acme) -> None:
    globex = await found(acme.bz, "Globex")
    with current.receiving(seen(AWAY)), current.as_system():
        await acme.bz.sessions.open(acme.member.id, method="test", org_id=acme.id)
        await acme.bz.sessions.open(globex.member.id, method="test", org_id=globex.id)
    await appoint(acme.bz, acme.owner)
    for by in (acme.admin, acme.owner):
        forecast = await simulate(acme, {"addresses": [HOME]}, by=by)
        assert {(one.id, one.address) for one in forecast.refused} == {(acme.member.id, AWAY)}
    everywhere = await simulate(acme, {"addresses": [HOME]}, by=acme.owner, level="global")
    assert {(one.id, one.address) for one in everywhere.refused} == {
        (acme.member.id, AWAY),
        (globex.member.id, AWAY),
    }


async def test_a_simulation_is_bounded_and_says_so(bz: Bartizan, acme: Acme) -> None:
    member = await acme.caller(acme.member)
    async with bz.database.transaction():
        for number in range(700):
            origin = Origin(request_id=f"req_{number}", ip=f"198.51.{number >> 8}.{number & 255}")
            with current.acting_as(member), current.receiving(origin):
                await bz.audit.log("invoice.sent")
    forecast = await simulate(acme, {"addresses": [HOME]})
    assert (len(forecast.refused), forecast.more, forecast.complete) == (500, 200, True)
    bz.ip_allowlist._forecasts._settings = bz.settings.ip_allowlist.model_copy(
        update={"simulated_records": 200}
    )
    less = await simulate(acme, {"addresses": [HOME]})
    assert not less.complete
    assert less.looked_at < 200 + 1


async def test_a_simulation_is_for_those_who_may_make_rules(acme: Acme) -> None:
    with pytest.raises(PermissionMissing):
        await simulate(acme, {"addresses": [HOME]}, by=acme.member)
    with pytest.raises(OperatorsOnly):
        await simulate(acme, {"addresses": [HOME]}, level="global")
    with pytest.raises(InvalidIpRule, match="is no address"):
        await simulate(acme, {"addresses": ["10.1"]})
    await appoint(acme.bz, acme.owner)
    with pytest.raises(InvalidIpRule, match="Roles belong"):
        await simulate(acme, {"addresses": [HOME], "role": "admin"}, level="global", by=acme.owner)


@pytest.mark.feature("X-08")
async def test_an_address_can_be_tried(acme: Acme) -> None:
    await appoint(acme.bz, acme.owner)
    office = await acme.rule("203.0.113.0/24")
    strict = await acme.rule(HOME, role="admin")
    everywhere = await acme.rule("203.0.113.0/24", "198.51.100.0/24", level="global")
    rules = acme.bz.ip_allowlist
    with current.acting_as(await acme.caller(acme.admin)):
        fine = await rules.test("::ffff:203.0.113.9", role="admin")
        assert (fine.address, fine.allowed) == (HOME, True)
        assert [(one.level, one.role, one.rules) for one in fine.because] == [
            ("organization", None, [office.id]),
            ("organization", "admin", [strict.id]),
        ]
        other = await rules.test("203.0.113.10", role="admin")
        assert [one.allowed for one in other.because] == [True, False]
        assert not other.allowed
        assert (await rules.test("203.0.113.10")).allowed
        assert not (await rules.test(AWAY, "keys")).allowed
        with pytest.raises(InvalidIpRule, match="'here' is no address"):
            await rules.test("here")
    with current.acting_as(await acme.caller(acme.owner)):
        seen_by_operator = await rules.test(AWAY)
    assert [(one.level, one.allowed, one.rules) for one in seen_by_operator.because] == [
        ("global", True, [everywhere.id]),
        ("organization", False, []),
    ]
    with current.acting_as(await acme.caller(acme.member)), pytest.raises(PermissionMissing):
        await rules.test(HOME)
    with current.as_system():
        assert (await rules.test(HOME)).allowed
