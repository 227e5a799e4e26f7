"""What rules mean, who may make them, and that nobody locks themselves out by mistake."""

import asyncio

import pytest

from bartizan.access.api_keys import NewApiKey
from bartizan.access.ip_allowlist import (
    AddressNotAllowed,
    InvalidIpRule,
    IpOverride,
    IpRuleChanges,
    NewIpRule,
    UnknownIpRule,
    WouldLockYouOut,
)
from bartizan.access.orgs import Closing, UnknownOrganization
from bartizan.access.rbac import CannotConfer, NewRole, UnknownRole
from bartizan.backbone.audit import AuditQuery
from bartizan.foundation.context import OperatorsOnly, PermissionMissing, current
from bartizan.house import Bartizan

from .conftest import AWAY, HOME, Acme, appoint, found, seen


@pytest.mark.feature("NET-01", "ID-06")
async def test_a_rule_holds_at_once_for_its_organization_and_nobody_else(bz: Bartizan, acme: Acme) -> None:
    globex = await found(bz, "Globex")
    assert not await acme.refused(AWAY)
    assert not bz.ip_allowlist.has_rules(acme.id)
    await acme.rule("203.0.113.0/24", "2001:db8::/48")
    assert await acme.refused(AWAY)
    assert await acme.refused("2001:db8:1::1")
    assert not await acme.refused(HOME)
    assert not await acme.refused("2001:db8::1")
    assert not await globex.refused(AWAY)
    assert bz.ip_allowlist.has_rules(acme.id)
    assert not bz.ip_allowlist.has_rules(globex.id)
    assert not bz.ip_allowlist.has_rules(None)


@pytest.mark.feature("NET-01")
async def test_rules_of_one_level_add_up_and_a_rule_that_is_off_counts_for_nothing(acme: Acme) -> None:
    await acme.rule(HOME)
    other = await acme.rule(AWAY)
    assert not await acme.refused(AWAY)
    with current.acting_as(await acme.caller(acme.owner)), current.receiving(seen(HOME)):
        changed = await acme.bz.ip_allowlist.update(other.id, IpRuleChanges(enabled=False))
    assert not changed.enabled
    assert await acme.refused(AWAY)
    assert not await acme.refused(HOME)


@pytest.mark.feature("X-08")
async def test_a_rule_holds_for_the_kinds_of_callers_that_it_names(acme: Acme) -> None:
    await acme.rule(AWAY, callers=["keys"])
    await acme.rule("192.0.2.0/24", callers=["machines"])
    caller, rules = await acme.caller(acme.member), acme.bz.ip_allowlist
    assert rules.refuses(HOME, caller, "cookie") is None
    assert rules.refuses(HOME, caller, "bearer") is None
    assert rules.refuses(HOME, caller, "key")
    assert rules.refuses(AWAY, caller, "key") is None
    for how in ("scim", "webhook", "something new"):
        assert rules.refuses(AWAY, caller, how)
        assert rules.refuses("192.0.2.1", caller, how) is None


@pytest.mark.feature("X-08")
async def test_a_role_is_a_level_of_its_own_and_all_levels_have_to_agree(acme: Acme) -> None:
    await acme.rule(HOME, role="admin")
    assert await acme.refused(AWAY, acme.admin)
    assert not await acme.refused(HOME, acme.admin)
    assert not await acme.refused(AWAY, acme.member)
    await acme.rule(AWAY, confirm=True)
    assert await acme.refused(HOME, acme.admin)
    assert await acme.refused(AWAY, acme.admin)
    assert not await acme.refused(AWAY, acme.member)


@pytest.mark.feature("X-08")
async def test_the_key_of_a_person_is_held_by_the_rules_of_their_roles(acme: Acme) -> None:
    await acme.rule(HOME, role="admin")
    keys = {}
    for person in (acme.admin, acme.member):
        with current.acting_as(await acme.caller(person)):
            issued = await acme.bz.api_keys.issue(NewApiKey(name="ci", scopes=["app:read"]))
        keys[person] = (await acme.bz.api_keys.authenticate(issued.secret)).caller()
    assert keys[acme.admin].roles == frozenset()
    assert acme.bz.ip_allowlist.refuses(AWAY, keys[acme.admin], "key")
    assert acme.bz.ip_allowlist.refuses(HOME, keys[acme.admin], "key") is None
    assert acme.bz.ip_allowlist.refuses(AWAY, keys[acme.member], "key") is None


@pytest.mark.feature("NET-01")
async def test_the_platforms_rules_refuse_before_anything_is_known_of_the_caller(acme: Acme) -> None:
    rules = acme.bz.ip_allowlist
    assert rules.refuses_address(None) is None
    await appoint(acme.bz, acme.owner)
    made = await acme.rule("203.0.113.0/24", level="global")
    refusal = rules.refuses_address(AWAY)
    assert isinstance(refusal, AddressNotAllowed)
    assert refusal.facts == {"your_address": AWAY}
    assert AWAY in str(refusal)
    assert "203.0.113" not in str(refusal)
    assert rules.refuses_address(HOME) is None
    for unknown in (None, "", "testclient"):
        assert rules.refuses_address(unknown)
    assert not rules.has_rules(acme.id), "one list for all kinds of callers is asked about once"
    with current.acting_as(await acme.caller(acme.owner)), current.receiving(seen(HOME)):
        await rules.delete(made.id)
    assert rules.refuses_address(AWAY) is None


@pytest.mark.feature("NET-01", "X-08")
async def test_the_platforms_rules_may_tell_kinds_of_callers_apart(acme: Acme) -> None:
    rules, caller = acme.bz.ip_allowlist, await acme.caller(acme.member)
    await appoint(acme.bz, acme.owner)
    await acme.rule(AWAY, level="global", callers=["keys"])
    assert rules.refuses_address("192.0.2.1") is None, "people may come from everywhere"
    assert rules.has_rules(None)
    assert rules.refuses("192.0.2.1", caller, "cookie") is None
    assert rules.refuses("192.0.2.1", caller, "key")
    await acme.rule(HOME, level="global", callers=["people", "machines"])
    assert rules.refuses_address("192.0.2.1")
    assert rules.refuses_address(AWAY) is None, "it may be a key"
    assert rules.refuses(AWAY, caller, "cookie")
    assert rules.refuses(AWAY, caller, "key") is None
    assert not rules.lets_out(AWAY, caller, "cookie", method="POST", path="/api/v1/auth/logout")


async def test_whoever_is_refused_by_an_organization_can_leave_it(acme: Acme) -> None:
    globex = await found(acme.bz, "Globex")
    await appoint(acme.bz, acme.owner)
    await acme.rule(HOME)
    member, operator = await acme.caller(acme.member), await acme.caller(acme.owner)
    rules, override = acme.bz.ip_allowlist, f"/api/v1/ip-allowlist/organizations/{acme.id}/override"

    def out(path: str, caller: object = member, method: str = "POST", ip: str = AWAY) -> bool:
        return rules.lets_out(ip, caller, "cookie", method=method, path=path)  # type: ignore[arg-type]

    assert out("/api/v1/auth/logout")
    assert out("/api/v1/auth/switch")
    assert not out("/api/v1/auth/me")
    assert not out("/api/v1/auth/logout", method="GET")
    assert not out("/api/v1/auth/logout", await globex.caller(globex.member)), "nothing refuses them"
    assert out(override, operator)
    assert not out(override)
    assert not out(f"{override}/../../..", operator)


@pytest.mark.feature("NET-02")
async def test_a_change_that_would_lock_its_maker_out_needs_a_confirmation(acme: Acme) -> None:
    with pytest.raises(WouldLockYouOut) as refusal:
        await acme.rule(AWAY)
    assert refusal.value.facts == {"your_address": HOME}
    assert not await acme.refused(HOME)
    home, away = await acme.rule(HOME), await acme.rule(AWAY)
    rules = acme.bz.ip_allowlist
    with current.acting_as(await acme.caller(acme.owner)), current.receiving(seen(HOME)):
        for change in (
            IpRuleChanges(enabled=False),
            IpRuleChanges(addresses=["203.0.113.10"]),
            IpRuleChanges(callers=["keys"]),
        ):
            with pytest.raises(WouldLockYouOut):
                await rules.update(home.id, change)
        with pytest.raises(WouldLockYouOut):
            await rules.delete(home.id)
        assert not await acme.refused(HOME)
        await rules.update(home.id, IpRuleChanges(note="still here"))
        await rules.delete(away.id)
        await rules.delete(home.id)
        assert await rules.list() == []
    await acme.rule(AWAY, confirm=True)
    assert await acme.refused(HOME)


@pytest.mark.feature("NET-02")
async def test_what_does_not_concern_its_maker_needs_no_confirmation(acme: Acme) -> None:
    await acme.rule(AWAY, enabled=False)
    await acme.rule(AWAY, role="viewer")
    await acme.rule(AWAY, callers=["keys", "machines"])
    with pytest.raises(WouldLockYouOut):
        await acme.rule(AWAY, role="owner")
    with pytest.raises(WouldLockYouOut):
        await acme.rule(HOME, at=None)
    with current.as_system(acme.id):
        await acme.bz.ip_allowlist.create(NewIpRule(addresses=[AWAY]))
    assert await acme.refused(HOME)


@pytest.mark.feature("NET-02")
async def test_a_key_that_changes_rules_does_not_lock_itself_out_either(acme: Acme) -> None:
    with current.acting_as(await acme.caller(acme.owner)):
        new = NewApiKey(name="ops", scopes=["ip_allowlist:write"])
        issued = await acme.bz.api_keys.issue(new)
    key = (await acme.bz.api_keys.authenticate(issued.secret)).caller()
    with current.acting_as(key), current.receiving(seen(HOME)):
        await acme.bz.ip_allowlist.create(NewIpRule(addresses=[AWAY], callers=["people"]))
        with pytest.raises(WouldLockYouOut):
            await acme.bz.ip_allowlist.create(NewIpRule(addresses=[AWAY], callers=["keys"]))


@pytest.mark.feature("NET-02")
async def test_two_changes_at_once_cannot_lock_out_whom_neither_would_alone(acme: Acme) -> None:
    first, second = await acme.rule(HOME), await acme.rule("203.0.113.0/24")
    caller = await acme.caller(acme.owner)
    await acme.rule(AWAY)

    async def switch_off(rule_id: str) -> None:
        with current.acting_as(caller), current.receiving(seen(HOME)):
            await acme.bz.ip_allowlist.update(rule_id, IpRuleChanges(enabled=False))

    ends = await asyncio.gather(switch_off(first.id), switch_off(second.id), return_exceptions=True)
    assert sorted(type(end).__name__ for end in ends) == ["NoneType", "WouldLockYouOut"]
    assert not await acme.refused(HOME)


@pytest.mark.feature("NET-02")
async def test_an_operator_switches_an_organizations_rules_off_and_says_why(
    acme: Acme,
) -> None:
    globex = await found(acme.bz, "Globex")
    made = [await acme.rule(HOME), await acme.rule("203.0.113.0/24", role="owner")]
    await acme.rule(AWAY, enabled=False)
    override = IpOverride(reason="Support case 4711")
    with current.acting_as(await globex.caller(globex.owner)), pytest.raises(OperatorsOnly):
        await acme.bz.ip_allowlist.override(acme.id, override)
    await appoint(acme.bz, globex.owner)
    with current.acting_as(await globex.caller(globex.owner)), current.receiving(seen(AWAY)):
        off = await acme.bz.ip_allowlist.override(acme.id, override)
        assert await acme.bz.ip_allowlist.override(acme.id, override) == []
        with pytest.raises(UnknownOrganization):
            await acme.bz.ip_allowlist.override("org_unknown", override)
    assert {rule.id for rule in off} == {rule.id for rule in made}
    assert not await acme.refused(AWAY)
    with current.acting_as(await acme.caller(acme.owner)):
        [record] = (await acme.bz.audit.search(AuditQuery(action="ip_rules.overridden"))).items
        assert not any(rule.enabled for rule in await acme.bz.ip_allowlist.list())
    assert record.actor.id == globex.owner.id
    assert record.personal["reason"] == "Support case 4711"
    assert set(record.changes["rules"]) == {rule.id for rule in made}


async def test_rules_are_shown_and_changed_by_those_who_may(bz: Bartizan, acme: Acme) -> None:
    globex = await found(bz, "Globex")
    made = await acme.rule(HOME, "10.0.0.0/8", note="the office", callers=["keys", "people"])
    rules = bz.ip_allowlist
    with current.acting_as(await acme.caller(acme.admin)), current.receiving(seen(HOME)):
        assert await rules.list() == [made]
        assert await rules.get(made.id) == made
        assert (made.note, made.level, made.role, made.enabled) == ("the office", "organization", None, True)
        assert made.callers == ["people", "keys"]
        assert made.created_by == acme.owner.id
        changes = IpRuleChanges(addresses=[HOME, AWAY], callers=["people"], note="moved")
        changed = await rules.update(made.id, changes)
        assert (changed.addresses, changed.callers, changed.note) == ([HOME, AWAY], ["people"], "moved")
        assert await rules.update(made.id, changes) == changed
        with pytest.raises(OperatorsOnly):
            await rules.list("global")
        with pytest.raises(OperatorsOnly):
            await rules.create(NewIpRule(addresses=[HOME], level="global"))
        with pytest.raises(UnknownIpRule):
            await rules.get("ipr_unknown")
        events = (await bz.audit.search(AuditQuery(action="ip_rule.*"))).items
    assert [event.action for event in events] == ["ip_rule.updated", "ip_rule.created"]
    assert (events[0].changes["added"], events[0].changes["removed"]) == ([AWAY], ["10.0.0.0/8"])
    assert events[0].changes["changed"] == ["addresses", "callers", "note"]
    with current.acting_as(await acme.caller(acme.member)):
        for attempt in (rules.list(), rules.get(made.id), rules.delete(made.id)):
            with pytest.raises(PermissionMissing):
                await attempt
    with current.acting_as(await globex.caller(globex.owner)):
        for attempt in (rules.get(made.id), rules.delete(made.id), rules.update(made.id, changes)):
            with pytest.raises(UnknownIpRule):
                await attempt


async def test_operators_keep_the_platforms_rules(bz: Bartizan, acme: Acme) -> None:
    globex = await found(bz, "Globex")
    await appoint(bz, globex.owner)
    made = await globex.rule(HOME, level="global")
    own = await globex.rule(HOME)
    with current.acting_as(await globex.caller(globex.owner)), current.receiving(seen(HOME)):
        assert await bz.ip_allowlist.list("global") == [made]
        assert await bz.ip_allowlist.list() == [own]
        assert await bz.ip_allowlist.get(made.id) == made
        assert (await bz.ip_allowlist.update(own.id, IpRuleChanges(note="x"))).note == "x"
        with pytest.raises(UnknownIpRule):
            await bz.ip_allowlist.get("ipr_unknown")
        with pytest.raises(InvalidIpRule, match="Roles belong to organizations"):
            await bz.ip_allowlist.create(NewIpRule(addresses=[HOME], level="global", role="admin"))
        with pytest.raises(WouldLockYouOut):
            await bz.ip_allowlist.update(made.id, IpRuleChanges(addresses=[AWAY]))
    with current.acting_as(await acme.caller(acme.owner)), pytest.raises(UnknownIpRule):
        await bz.ip_allowlist.get(made.id)
    with current.as_system():
        assert (await bz.ip_allowlist.get(made.id)).level == "global"
        with pytest.raises(UnknownIpRule):
            await bz.ip_allowlist.get(own.id)


async def test_nobody_rules_over_a_role_that_is_mightier_than_their_own(acme: Acme) -> None:
    with pytest.raises(CannotConfer):
        await acme.rule(HOME, role="owner", by=acme.admin)
    with pytest.raises(UnknownRole):
        await acme.rule(HOME, role="unheard-of")
    made = await acme.rule(HOME, role="owner")
    with current.acting_as(await acme.caller(acme.admin)), current.receiving(seen(HOME)):
        for attempt in (
            acme.bz.ip_allowlist.update(made.id, IpRuleChanges(addresses=[AWAY], confirm=True)),
            acme.bz.ip_allowlist.delete(made.id),
        ):
            with pytest.raises(CannotConfer):
                await attempt


async def test_the_rule_of_a_role_that_is_gone_can_still_be_removed(acme: Acme) -> None:
    with current.acting_as(await acme.caller(acme.owner)), current.receiving(seen(HOME)):
        await acme.bz.rbac.roles.create(NewRole(name="night-shift", permissions=["app:read"]))
        made = await acme.rule(HOME, role="night-shift")
        await acme.bz.rbac.roles.delete("night-shift")
        await acme.bz.ip_allowlist.delete(made.id)
        assert await acme.bz.ip_allowlist.list() == []


async def test_the_rules_of_an_organization_go_with_it(bz: Bartizan, acme: Acme) -> None:
    await acme.rule(HOME)
    caller = await acme.caller(acme.owner)
    with current.acting_as(caller):
        slug = (await bz.orgs.get(acme.id)).slug
        await bz.orgs.delete(acme.id, Closing(confirm=slug))
    assert not bz.ip_allowlist.has_rules(acme.id)
    assert bz.ip_allowlist.refuses(AWAY, caller, "bearer") is None
