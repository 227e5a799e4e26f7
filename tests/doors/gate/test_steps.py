"""Addresses, repeated requests, quotas and what the app is told, at the real gate."""

import itertools
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bartizan.access.ip_allowlist import NewIpRule
from bartizan.doors.frameworks import Wrapped, wrap
from bartizan.doors.testing import Cast, Person, anyone, browser, program
from bartizan.foundation.context import current

OFFICE, HOME = "203.0.113.9", "198.51.100.7"
RULES = "/_bartizan/api/v1/ip-allowlist"


def host() -> Starlette:
    turns = itertools.count(1)

    async def take(request: Request) -> Response:
        told = {name: value for name, value in request.headers.items() if name.startswith("x-seen-")}
        return JSONResponse({"turn": next(turns), **told})

    return Starlette(routes=[Route("/orders", take, methods=["GET", "POST"])])


@pytest.fixture
async def app(bartizan_settings: dict[str, Any]) -> AsyncGenerator[Wrapped]:
    bridge = {"headers": {"X-Seen-User": "{email}", "X-Seen-Org": "{org_id}"}}
    app = wrap(host(), {**bartizan_settings, "bridge": bridge})
    await app.bz.start(embedded=False)
    yield app
    await app.bz.stop()


async def person(app: Wrapped, role: str = "owner") -> Person:
    cast = Cast(app.bz)
    return await cast.person(await cast.organization(), role)


@pytest.mark.feature("NET-01", "NET-02")
async def test_a_rule_of_an_organization_holds_at_once_and_says_which_address_came(app: Wrapped) -> None:
    owner, other = await person(app), await person(app)
    async with program(app, owner, address=OFFICE) as office, program(app, owner, address=HOME) as home:
        assert (await home.get("/orders")).status_code == 200
        shut = await office.post(RULES, json={"addresses": [HOME]})
        assert (shut.status_code, shut.json()["code"]) == (409, "would-lock-you-out")
        assert (await office.post(RULES, json={"addresses": ["203.0.113.0/24"]})).status_code == 201
        refused = await home.get("/orders")
        assert (await office.get("/orders")).status_code == 200
    assert (refused.status_code, refused.json()["your_address"]) == (403, HOME)
    assert "203.0.113.0" not in refused.text
    async with program(app, other, address=HOME) as elsewhere:
        assert (await elsewhere.get("/orders")).status_code == 200


@pytest.mark.feature("NET-01")
async def test_the_platforms_list_comes_before_any_look_at_a_credential(app: Wrapped) -> None:
    with current.as_system():
        await app.bz.ip_allowlist.create(
            NewIpRule(level="global", addresses=["203.0.113.0/24"], confirm=True)
        )
    async with anyone(app, address=HOME, authorization="Bearer guess") as stranger:
        assert (await stranger.get("/orders")).status_code == 403
    async with anyone(app, address=HOME) as probe:
        assert (await probe.get("/_bartizan/health/live")).status_code == 200
    async with anyone(app, address=OFFICE, authorization="Bearer guess") as known:
        assert (await known.get("/orders")).status_code == 401


@pytest.mark.feature("RATE-07")
async def test_a_request_sent_again_with_its_key_runs_once(app: Wrapped) -> None:
    owner, other = await person(app), await person(app)
    key = {"idempotency-key": "order-1"}
    async with program(app, owner) as http, program(app, other) as stranger:
        first = await http.post("/orders", json={"item": 1}, headers=key)
        again = await http.post("/orders", json={"item": 1}, headers=key)
        changed = await http.post("/orders", json={"item": 2}, headers=key)
        theirs = await stranger.post("/orders", json={"item": 1}, headers=key)
    assert (first.content, first.status_code) == (again.content, again.status_code)
    assert again.headers["idempotency-replayed"] == "true"
    assert changed.status_code == 409
    assert theirs.json()["turn"] == first.json()["turn"] + 1


@pytest.mark.feature("X-23")
async def test_the_app_is_told_who_asks_and_no_caller_says_it_themselves(app: Wrapped) -> None:
    owner = await person(app)
    async with browser(app, owner) as http:
        told = (await http.get("/orders", headers={"x-seen-user": "boss@example.com"})).json()
        twice = (await http.get("/orders", headers={"x_seen_user": "boss@example.com"})).json()
    assert told["x-seen-user"] == twice["x-seen-user"] == owner.email
    assert told["x-seen-org"] == owner.org_id
    assert "boss@example.com" not in str([told, twice])
