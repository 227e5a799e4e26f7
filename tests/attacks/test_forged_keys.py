"""Keys that must not be let in, and keys that must not do more than they may."""

import string
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from bartizan.access.api_keys import InvalidApiKey, NewApiKey, OnlyPeopleMakeKeys, ScopeTooWide
from bartizan.access.api_keys.service.secret import Form
from bartizan.access.orgs import MemberChanges
from bartizan.access.rbac import CannotConfer, NewGrant, RoleChoice
from bartizan.foundation.context import PermissionMissing, current
from tests.harness.access import Company, Floor, Somebody, build


@pytest.fixture
def floor(database: Any, clock: Any) -> Floor:
    return build(database, clock)


@pytest.fixture
async def acme(floor: Floor) -> Company:
    return await floor.organization()


@pytest.mark.feature("KEY-06")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "btz_",
        "btz_live_",
        "btz_live_" + "a" * 36,
        "btz_prod_" + "a" * 36,
        "vst_live_" + "a" * 36,
        "BTZ_LIVE_" + "a" * 36,
        "btz_live_" + "\uff41" * 36,
        "btz_live_" + "a" * 100_000,
        "btz_live_" + "a" * 35 + "\n",
        "btz_live_' or 1=1 --" + "a" * 25,
        "\x00",
    ],
)
async def test_key_shaped_garbage_is_refused_without_asking_the_database(floor: Floor, text: str) -> None:
    statements: list[str] = []
    event.listen(
        floor.database.engine.sync_engine,
        "before_cursor_execute",
        lambda _c, _cursor, statement, *_rest: statements.append(statement),
    )
    with pytest.raises(InvalidApiKey):
        await floor.api_keys.authenticate(text)
    assert statements == []


@pytest.mark.feature("KEY-06")
async def test_a_key_that_differs_in_one_character_is_another_key(floor: Floor, acme: Company) -> None:
    with current.acting_as(await acme.caller()):
        secret = (await floor.api_keys.issue(NewApiKey(name="ci", scopes=["app:read"]))).secret
    await floor.api_keys.authenticate(secret)
    forged = [Form("btz").make("live") for _ in range(20)]
    changed = [
        secret[:place] + ("0" if secret[place] != "0" else "1") + secret[place + 1 :]
        for place in range(len(secret))
    ]
    for text in [*forged, *changed, secret[:-1], secret + "0", secret.replace("live", "test"), f" {secret}"]:
        with pytest.raises(InvalidApiKey):
            await floor.api_keys.authenticate(text)
    assert floor.api_keys.is_key(forged[0])


@given(st.text(alphabet=string.ascii_letters + string.digits + "_", min_size=0, max_size=60))
def test_no_text_that_was_not_made_fits_by_chance(text: str) -> None:
    form = Form("btz")
    made = form.make("live")
    assert form.fits(made)
    assert not form.fits(f"btz_live_{text}") or len(text) == 36


async def test_an_impersonator_makes_no_key_that_outlasts_the_visit(floor: Floor, acme: Company) -> None:
    visiting = replace(await acme.caller(), actor_id="usr_support")
    with current.acting_as(visiting), pytest.raises(OnlyPeopleMakeKeys):
        await floor.api_keys.issue(NewApiKey(name="x", scopes=["app:read"]))


async def test_a_key_of_an_owner_makes_no_owner(floor: Floor, acme: Company) -> None:
    ann = await acme.hire("ann", "viewer")
    with current.acting_as(await acme.caller()):
        everything = sorted(floor.rbac.names())
        secret = (await floor.api_keys.issue(NewApiKey(name="x", scopes=everything))).secret
    with current.acting_as((await floor.api_keys.authenticate(secret)).caller()):
        for ask in (
            floor.rbac.assign(ann.id, RoleChoice(roles=["owner"])),
            floor.orgs.members.update(ann.id, MemberChanges(role="owner")),
        ):
            with pytest.raises(CannotConfer):
                await ask


ROLES = ["owner", "admin", "developer", "operator", "member", "viewer"]
NAMES = ["app:read", "app:write", "orgs:read", "orgs:members", "orgs:delete", "api_keys:write", "rbac:write"]
Steps = st.lists(
    st.one_of(
        st.tuples(st.just("role"), st.sampled_from(ROLES)),
        st.tuples(st.sampled_from(["grant", "deny"]), st.sampled_from(NAMES)),
        st.tuples(st.sampled_from(["suspend", "resume"]), st.just("")),
    ),
    max_size=4,
)


@pytest.mark.feature("KEY-02")
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    actor=st.sampled_from(ROLES),
    scopes=st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True),
    owner=st.sampled_from(["person", "organization"]),
    then=Steps,
)
async def test_a_key_never_does_more_than_its_owner_and_its_maker(
    floor: Floor, actor: str, scopes: list[str], owner: str, then: list[tuple[str, str]]
) -> None:
    company = await floor.organization(f"Org {next(floor.names)}")
    person = await company.hire("actor", actor)
    caller = await company.caller(person)
    try:
        with current.acting_as(caller):
            new = NewApiKey.model_validate({"name": "x", "scopes": scopes, "owner": owner})
            secret = (await floor.api_keys.issue(new)).secret
    except (ScopeTooWide, PermissionMissing):
        assert not {*scopes, "api_keys:write"} <= caller.permissions or owner == "organization"
        return
    assert set(scopes) <= caller.permissions
    for what, value in then:
        await step(company, person, what, value)
        held = (await floor.rbac.effective(person.id, company.id)).permissions
        try:
            principal = await floor.api_keys.authenticate(secret)
        except InvalidApiKey:
            assert owner == "person"
            assert held == frozenset()
            continue
        assert principal.permissions <= set(scopes)
        assert principal.permissions <= (held if owner == "person" else floor.rbac.names())
        if owner == "person":
            assert principal.permissions == held & set(scopes)


async def step(company: Company, person: Somebody, what: str, value: str) -> None:
    floor = company.floor
    with current.acting_as(await company.caller()):
        if what == "role":
            await floor.rbac.assign(person.id, RoleChoice(roles=[value]))
        elif what == "suspend":
            await floor.rbac.suspend(person.id, org_id=company.id)
        elif what == "resume":
            await floor.rbac.resume(person.id, org_id=company.id)
        elif "owner" not in (await floor.rbac.access(person.id)).roles:
            await floor.rbac.grants.create(person.id, NewGrant(permission=value, allowed=what == "grant"))
