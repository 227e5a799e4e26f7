from collections.abc import AsyncGenerator
from typing import Annotated, Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from pydantic import Field

from bartizan.backbone.events import Envelope, Events
from bartizan.backbone.preferences import (
    InvalidPreference,
    LevelNotAllowed,
    Preference,
    PreferenceChange,
    Preferences,
    UnknownPreference,
    Where,
)
from bartizan.backbone.preferences.routes import routes
from bartizan.foundation import ids
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller, NobodyAsks, OperatorsOnly, PermissionMissing, current
from bartizan.foundation.database import Database

ACME, GLOBEX, TEAM, USER = ids.new("org"), ids.new("org"), ids.new("tea"), ids.new("usr")
ALL = frozenset({"preferences:read", "preferences:write"})
ADMIN = Caller(id=USER, kind="user", user_id=USER, org_id=ACME, team_id=TEAM, permissions=ALL)
NEIGHBOUR = Caller(id=ids.new("usr"), kind="user", user_id=ids.new("usr"), org_id=GLOBEX, permissions=ALL)
MEMBER = Caller(id=ids.new("usr"), kind="user", user_id=ids.new("usr"), org_id=ACME, team_id=TEAM)
OPERATOR = Caller(id=ids.new("usr"), kind="user", user_id=ids.new("usr"), operator=True)
SIZE = Preference(
    key="list.size", type=Annotated[int, Field(ge=1, le=500)], default=20, description="Rows on a page."
)
NICKNAME = Preference(key="me.nickname", type=str, default="", description="What to call you.", personal=True)
RETENTION = Preference(
    key="keep.days", type=int, default=30, description="Days.", levels=frozenset({"global", "organization"})
)


@pytest.fixture
def events(database: Database, clock: ManualClock) -> Events:
    return Events(database, clock=clock)


@pytest.fixture
def preferences(database: Database, events: Events, clock: ManualClock) -> Preferences:
    return _room(database, events, clock)


def _room(database: Database, events: Events, clock: ManualClock) -> Preferences:
    room = Preferences(database, events, clock=clock)
    for preference in (SIZE, NICKNAME, RETENTION):
        room.declare(preference)
    return room


@pytest.fixture
async def client(preferences: Preferences) -> AsyncGenerator[AsyncClient]:
    app = FastAPI()
    app.include_router(routes(preferences))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        yield client


def to(value: Any) -> PreferenceChange:
    return PreferenceChange(value=value)


@pytest.mark.feature("CORE-16")
async def test_the_nearest_value_wins_and_unsetting_uncovers_the_next(preferences: Preferences) -> None:
    async def size() -> int:
        return await preferences.get_effective("list.size")  # type: ignore[no-any-return]

    with current.acting_as(ADMIN):
        assert await size() == 20
        with current.acting_as(OPERATOR):
            await preferences.set("list.size", to(30), "global")
        assert await size() == 30
        await preferences.set("list.size", to(40), "organization")
        assert await size() == 40
        await preferences.set("list.size", to(50), "team")
        assert await size() == 50
        told = await preferences.set("list.size", to(60))
        assert (told.value, told.level, told.default) == (60, "user", 20)
        assert await size() == 60
        await preferences.unset("list.size")
        assert await size() == 50
        await preferences.unset("list.size", "team")
        assert await size() == 40
        await preferences.unset("list.size", "organization")
        with current.acting_as(OPERATOR):
            await preferences.unset("list.size", "global")
        assert await size() == 20


@pytest.mark.feature("CORE-16")
async def test_a_value_of_one_organization_says_nothing_in_another(preferences: Preferences) -> None:
    with current.acting_as(ADMIN):
        await preferences.set("list.size", to(40), "organization")
        await preferences.set("list.size", to(60))
    with current.acting_as(NEIGHBOUR):
        assert await preferences.get_effective("list.size") == 20
        assert (await preferences.get("list.size", "user", USER)).value == 20
    with current.as_system(GLOBEX):
        assert await preferences.get_effective("list.size", Where(org_id=GLOBEX, user_id=USER)) == 20


@pytest.mark.feature("CORE-16")
async def test_a_change_holds_at_once_here_and_within_five_seconds_elsewhere(
    preferences: Preferences, database: Database, events: Events, clock: ManualClock
) -> None:
    elsewhere = _room(database, events, clock)
    with current.acting_as(ADMIN):
        assert await elsewhere.get_effective("list.size") == 20
        assert await preferences.get_effective("list.size") == 20
        await preferences.set("list.size", to(60))
        assert await preferences.get_effective("list.size") == 60
        assert await elsewhere.get_effective("list.size") == 20
        clock.advance(5.1)
        assert await elsewhere.get_effective("list.size") == 60


async def test_a_change_that_is_rolled_back_leaves_nothing_behind(
    preferences: Preferences, database: Database
) -> None:
    async def undone() -> None:
        async with database.transaction():
            await preferences.set("list.size", to(60))
            assert await preferences.get_effective("list.size") == 60
            raise RuntimeError("undo")

    with current.acting_as(ADMIN):
        assert await preferences.get_effective("list.size") == 20
        with pytest.raises(RuntimeError, match="undo"):
            await undone()
        assert await preferences.get_effective("list.size") == 20


@pytest.mark.feature("CORE-16")
async def test_a_change_is_announced_with_old_and_new(preferences: Preferences, events: Events) -> None:
    heard: list[Envelope] = []
    events.listen("preference.changed", heard.append)
    with current.acting_as(ADMIN):
        await preferences.set("list.size", to(40), "organization")
        await preferences.set("list.size", to(40), "organization")
        await preferences.set("list.size", to(50), "organization")
        await preferences.unset("list.size", "organization")
        await preferences.unset("list.size", "organization")
    told = [(e.data["old"], e.data["new"], e.data["level"], e.data["owner_id"]) for e in heard]
    assert told == [
        (None, 40, "organization", ACME),
        (40, 50, "organization", ACME),
        (50, None, "organization", ACME),
    ]
    with current.acting_as(OPERATOR):
        await preferences.set("keep.days", to(7), "global")
    assert (heard[-1].tenant_id, heard[-1].data["owner_id"]) == (None, None)


async def test_what_may_be_personal_is_told_apart(preferences: Preferences, events: Events) -> None:
    heard: list[Envelope] = []
    events.listen("preference.changed", heard.append)
    with current.acting_as(ADMIN):
        await preferences.set("me.nickname", to("Bob"))
    data = heard[0].data
    assert (data["new"], data["personal_new"]) == (None, "Bob")
    assert heard[0].event is not None
    assert "personal_new" in heard[0].event.personal


@pytest.mark.parametrize("value", ["many", 0, 501, None, [], 1.5, {"a": 1}])
async def test_a_value_of_another_type_is_refused(preferences: Preferences, value: Any) -> None:
    with current.acting_as(ADMIN):
        with pytest.raises(InvalidPreference) as refused:
            await preferences.set("list.size", to(value))
        assert refused.value.facts["field"] == "value"
        assert await preferences.get_effective("list.size") == 20


async def test_a_value_too_large_is_refused(preferences: Preferences) -> None:
    with current.acting_as(ADMIN), pytest.raises(InvalidPreference):
        await preferences.set("me.nickname", to("x" * 20_000))


async def test_a_stored_value_that_no_longer_fits_gives_way(
    preferences: Preferences, database: Database, events: Events, clock: ManualClock
) -> None:
    with current.acting_as(ADMIN):
        await preferences.set("me.nickname", to("Bob"))
        stricter = Preferences(database, events, clock=clock)
        stricter.declare(Preference(key="me.nickname", type=int, default=7, description="A number now."))
        assert await stricter.get_effective("me.nickname") == 7


async def test_an_unknown_key_is_refused(preferences: Preferences) -> None:
    with current.acting_as(ADMIN):
        for attempt in (preferences.get_effective, preferences.get, preferences.unset):
            with pytest.raises(UnknownPreference):
                await attempt("no.such")
        with pytest.raises(UnknownPreference):
            await preferences.set("no.such", to(1))


async def test_a_level_that_is_not_declared_is_refused(preferences: Preferences) -> None:
    with current.acting_as(ADMIN):
        with pytest.raises(LevelNotAllowed):
            await preferences.set("keep.days", to(1))
        with pytest.raises(LevelNotAllowed):
            await preferences.set("list.size", to(1), "team", ids.new("usr"))
        with pytest.raises(LevelNotAllowed):
            await preferences.set("list.size", to(1), "team", ACME)


async def test_ones_own_needs_no_permission_and_all_else_does(preferences: Preferences) -> None:
    with current.acting_as(MEMBER):
        await preferences.set("list.size", to(60))
        assert (await preferences.get("list.size")).level == "user"
        assert (await preferences.get("list.size", "organization")).value == 20
        for level, owner in (("organization", None), ("team", None), ("user", USER)):
            with pytest.raises(PermissionMissing):
                await preferences.set("list.size", to(1), level, owner)  # type: ignore[arg-type]
        with pytest.raises(OperatorsOnly):
            await preferences.set("list.size", to(1), "global")
        with pytest.raises(PermissionMissing):
            await preferences.get("list.size", "user", USER)
        with pytest.raises(PermissionMissing):
            await preferences.get("list.size", "team")
    with pytest.raises(NobodyAsks):
        await preferences.list()


async def test_an_administrator_reads_and_sets_what_holds_for_others(preferences: Preferences) -> None:
    with current.acting_as(ADMIN):
        await preferences.set("list.size", to(70), "user", MEMBER.user_id)
        assert (await preferences.get("list.size", "user", MEMBER.user_id)).value == 70
        await preferences.set("list.size", to(50), "team", TEAM)
        assert (await preferences.get("list.size", "team", TEAM)).value == 50
        assert (await preferences.get("list.size", "global")).value == 20
    with current.acting_as(MEMBER):
        assert await preferences.get_effective("list.size") == 70


async def test_nobody_in_particular_gets_what_holds_for_the_platform(preferences: Preferences) -> None:
    assert await preferences.get_effective("list.size") == 20


@pytest.mark.parametrize("key", ["size", "List.size", "list.", "list size", ""])
def test_a_key_is_lower_case_words_joined_by_dots(preferences: Preferences, key: str) -> None:
    with pytest.raises(ValueError, match="not a preference key"):
        preferences.declare(Preference(key=key, type=int, default=1, description=""))


def test_a_key_is_declared_once_and_its_default_fits(preferences: Preferences) -> None:
    with pytest.raises(ValueError, match="twice"):
        preferences.declare(SIZE)
    with pytest.raises(ValueError, match="validation error"):
        preferences.declare(Preference(key="a.b", type=int, default="x", description=""))


@pytest.mark.feature("CORE-16")
async def test_over_http_one_sets_reads_and_unsets(client: AsyncClient) -> None:
    with current.acting_as(ADMIN):
        answer = await client.put("/preferences/list.size?level=organization", json={"value": 40})
        assert (answer.status_code, answer.json()["level"]) == (200, "organization")
        listed = (await client.get("/preferences")).json()
        assert [(p["key"], p["value"]) for p in listed] == [
            ("keep.days", 30),
            ("list.size", 40),
            ("me.nickname", ""),
        ]
        assert (await client.get("/preferences/list.size")).json()["value"] == 40
        assert (await client.delete("/preferences/list.size?level=organization")).status_code == 204
        assert (await client.get("/preferences/list.size")).json()["level"] is None
        assert (
            await client.put("/preferences/list.size?level=nowhere", json={"value": 1})
        ).status_code == 422
