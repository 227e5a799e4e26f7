"""Limits that differ from the settings: who may set them, and when they hold."""

from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from bartizan.backbone.events import Envelope, Events
from bartizan.backbone.limits import (
    Limits,
    LimitTarget,
    LimitTooWide,
    NewLimit,
    TooManyLimits,
    UnknownLimit,
)
from bartizan.backbone.limits.routes import routes
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller, NobodyAsks, OperatorsOnly, PermissionMissing, current
from bartizan.foundation.database import Database
from bartizan.foundation.settings import Rate

from .callers import ACME, ADMIN, GLOBEX, MEMBER, NEIGHBOUR, OPERATOR, elsewhere, key, person
from .closing import OrganizationDeleted
from .conftest import Build


def new(scope: Any, rate: str, target: str | None = None) -> NewLimit:
    return NewLimit(scope=scope, target=target, rate=Rate.parse(rate))


async def rates(limits: Limits, caller: Caller, how: Any = "bearer") -> dict[str, str]:
    return {bucket.name: str(bucket.rate) for bucket in await limits.buckets_of(caller, how)}


@pytest.mark.feature("RATE-01")
async def test_a_limit_set_holds_at_once_here_and_soon_elsewhere(
    limits: Limits, build: Build, clock: ManualClock
) -> None:
    there = build()
    assert (await rates(limits, MEMBER))["user"] == (await rates(there, MEMBER))["user"] == "20/minute"
    with current.acting_as(ADMIN):
        made = await limits.set(new("user", "50/minute", MEMBER.id))
    assert (await rates(limits, MEMBER))["user"] == "50/minute"
    assert (await rates(limits, ADMIN))["user"] == "20/minute"
    clock.advance(2.1)
    assert (await rates(there, MEMBER))["user"] == "50/minute"
    with current.acting_as(ADMIN):
        await limits.remove(made.id or "")
    assert (await rates(limits, MEMBER))["user"] == "20/minute"
    clock.advance(2.1)
    assert (await rates(there, MEMBER))["user"] == "20/minute"


@pytest.mark.feature("RATE-01")
async def test_operators_say_what_an_organization_may(limits: Limits, told: list[Envelope]) -> None:
    with current.acting_as(OPERATOR):
        await limits.set(new("organization", "1000/minute"), ACME)
        await limits.set(new("browser", "60/minute"), ACME)
        await limits.set(new("organization", "2000/minute"), org_id=ACME)
    assert (await rates(limits, MEMBER))["organization"] == "2000/minute"
    assert (await rates(limits, MEMBER, "cookie")) == {"browser": "60/minute"}
    assert (await rates(limits, NEIGHBOUR))["organization"] == "100/minute burst 200"
    assert [(e.type, e.tenant_id, e.data["rate"], e.data["before"]) for e in told] == [
        ("limit.changed", ACME, "1000/minute", None),
        ("limit.changed", ACME, "60/minute", None),
        ("limit.changed", ACME, "2000/minute", "1000/minute"),
    ]


@pytest.mark.feature("RATE-01", "AZ-01")
async def test_an_organization_gives_no_more_than_it_has(limits: Limits) -> None:
    with current.acting_as(ADMIN):
        for scope in ("organization", "browser"):
            with pytest.raises(OperatorsOnly):
                await limits.set(new(scope, "1/minute"))
        for wide in ("101/minute", "50/minute burst 201", "2/second burst 2"):
            with pytest.raises(LimitTooWide) as refused:
                await limits.set(new("user", wide, MEMBER.id))
            assert refused.value.facts["most"] == "100/minute burst 200"
        await limits.set(new("user", "100/minute burst 200", MEMBER.id))
    with current.acting_as(OPERATOR):
        await limits.set(new("organization", "10/minute"), ACME)
        await limits.set(new("user", "5000/minute", MEMBER.id), ACME)
    with current.acting_as(ADMIN), pytest.raises(LimitTooWide):
        await limits.set(new("user", "11/minute", MEMBER.id))
    with current.acting_as(ADMIN):
        made = await limits.list()
        organizations = next(limit for limit in made if limit.scope == "organization")
        with pytest.raises(OperatorsOnly):
            await limits.remove(organizations.id or "")


@pytest.mark.feature("TEN-08", "AZ-01")
async def test_a_neighbour_sees_and_changes_nothing(limits: Limits) -> None:
    with current.acting_as(ADMIN):
        made = await limits.set(new("user", "50/minute", MEMBER.id))
    with current.acting_as(NEIGHBOUR):
        assert made.id not in {limit.id for limit in await limits.list()}
        with pytest.raises(UnknownLimit):
            await limits.remove(made.id or "")
        for ask in (limits.list(ACME), limits.violations(org_id=ACME), limits.remove(made.id or "", ACME)):
            with pytest.raises(OperatorsOnly):
                await ask
        with pytest.raises(OperatorsOnly):
            await limits.set(new("user", "1/minute", MEMBER.id), ACME)
    assert (await rates(limits, elsewhere(MEMBER, GLOBEX)))["user"] == "20/minute"
    with current.acting_as(OPERATOR):
        assert made.id in {limit.id for limit in await limits.list(ACME)}
        await limits.remove(made.id or "", ACME)


async def test_without_the_permission_nothing_is_seen_or_set(limits: Limits) -> None:
    with current.acting_as(MEMBER):
        for ask in (limits.list(), limits.violations(), limits.remove("lim_x")):
            with pytest.raises(PermissionMissing):
                await ask
        with pytest.raises(PermissionMissing):
            await limits.set(new("user", "1/minute", MEMBER.id))
    with pytest.raises(NobodyAsks):
        await limits.list()


@pytest.mark.feature("RATE-01")
async def test_a_route_of_an_organization_adds_to_the_settings(build: Build, clock: ManualClock) -> None:
    limits = build({"routes": {"POST /api/*": "10/minute"}})
    there = build({"routes": {"POST /api/*": "10/minute"}})
    with current.acting_as(ADMIN):
        made = await limits.set(new("route", "2/minute", "POST /api/x"))
    await limits.buckets_of(MEMBER, "bearer")
    await limits.buckets_of(NEIGHBOUR, "bearer")
    found = limits.route_buckets("POST", "/api/x", MEMBER)
    assert [(b.target, str(b.rate)) for b in found] == [
        ("POST /api/*", "10/minute"),
        ("POST /api/x", "2/minute"),
    ]
    assert len({bucket.key for bucket in found}) == 2
    assert [b.target for b in limits.route_buckets("POST", "/api/x", NEIGHBOUR)] == ["POST /api/*"]
    assert [b.target for b in limits.route_buckets("POST", "/api/y", MEMBER)] == ["POST /api/*"]
    assert [limits.take(found).allowed for _ in range(3)] == [True, True, False]
    with current.acting_as(ADMIN):
        await limits.remove(made.id or "")
    await limits.buckets_of(MEMBER, "bearer")
    assert [b.target for b in limits.route_buckets("POST", "/api/x", MEMBER)] == ["POST /api/*"]
    await there.buckets_of(MEMBER, "bearer")
    assert [b.target for b in there.route_buckets("POST", "/api/x", MEMBER)] == ["POST /api/*"]


@pytest.mark.parametrize(
    ("scope", "target"),
    [
        ("user", None),
        ("user", "ada"),
        ("user", "key_01m7yjhc9je78av774edsqjphp"),
        ("key", "usr_01m7yjhc9jfqxa4hq47s1ayfz9"),
        ("route", None),
        ("route", "/api/x"),
        ("organization", "org_01m7yjhbfffnm8mmf33h4g80bs"),
        ("browser", "me"),
    ],
)
async def test_a_target_fits_its_scope(limits: Limits, scope: Any, target: str | None) -> None:
    with current.acting_as(OPERATOR), pytest.raises(LimitTarget):
        await limits.set(new(scope, "1/minute", target), ACME)


async def test_an_organization_has_so_many_limits_and_no_more(build: Build) -> None:
    limits = build({"most_overrides": 2})
    robots = [key() for _ in range(3)]
    with current.acting_as(ADMIN):
        for robot in robots[:2]:
            await limits.set(new("key", "1/minute", robot.id))
        with pytest.raises(TooManyLimits):
            await limits.set(new("key", "1/minute", robots[2].id))
        await limits.set(new("key", "2/minute", robots[0].id))


async def test_a_change_that_is_rolled_back_leaves_nothing_behind(limits: Limits, database: Database) -> None:
    async def undone() -> None:
        async with database.transaction():
            await limits.set(new("user", "50/minute", MEMBER.id))
            assert (await rates(limits, MEMBER))["user"] == "50/minute"
            raise RuntimeError("undo")

    with current.acting_as(ADMIN), pytest.raises(RuntimeError, match="undo"):
        await undone()
    assert (await rates(limits, MEMBER))["user"] == "20/minute"


@pytest.mark.feature("KEY-05")
async def test_a_keys_limit_stays_when_whoever_set_it_is_gone(limits: Limits, build: Build) -> None:
    robot, boss = key(), person(may=ADMIN.permissions)
    with current.acting_as(boss):
        made = await limits.set(new("key", "7/minute", robot.id))
    assert made.set_by == boss.id
    assert (await rates(build(), robot, "key"))["key"] == "7/minute"


async def test_what_an_organization_had_goes_with_it(
    limits: Limits, database: Database, events: Events
) -> None:
    with current.acting_as(ADMIN):
        await limits.set(new("user", "50/minute", MEMBER.id))
    with current.as_system():
        async with database.transaction():
            await events.announce(OrganizationDeleted(org_id=ACME), org_id=ACME)
    assert (await rates(limits, MEMBER))["user"] == "20/minute"
    with current.acting_as(ADMIN):
        assert {limit.id for limit in await limits.list()} == {None}


@pytest.mark.feature("RATE-01")
async def test_over_http_one_lists_sets_and_removes(build: Build) -> None:
    limits = build({"routes": {"POST /api/*": "10/minute"}, "key": "40/minute"})
    app = FastAPI()
    app.include_router(routes(limits))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        with current.acting_as(ADMIN):
            listed = (await client.get("/limits")).json()
            assert [(one["scope"], one["target"], one["rate"], one["id"]) for one in listed] == [
                ("organization", None, "100/minute burst 200", None),
                ("browser", None, "1200/minute burst 300", None),
                ("user", None, "20/minute", None),
                ("key", None, "40/minute", None),
                ("route", "POST /api/*", "10/minute", None),
            ]
            body = {"scope": "user", "target": MEMBER.id, "rate": "30/minute burst 40"}
            made = await client.put("/limits", json=body)
            assert (made.status_code, made.json()["rate"]) == (200, "30/minute burst 40")
            assert (await client.put("/limits", json=body | {"rate": "often"})).status_code == 422
            assert made.json() in (await client.get("/limits")).json()
            assert (await client.delete(f"/limits/{made.json()['id']}")).status_code == 204
            assert (await client.get("/limits")).json() == listed
        with current.acting_as(OPERATOR):
            saved = await client.put(
                "/limits", params={"org_id": ACME}, json={"scope": "organization", "rate": "9/second"}
            )
            assert saved.status_code == 200
            listed = (await client.get("/limits", params={"org_id": ACME})).json()
            assert [one["rate"] for one in listed if one["scope"] == "organization"] == ["9/second"]
