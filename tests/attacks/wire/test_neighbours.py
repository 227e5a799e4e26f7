"""Every operation with the ids of another organization: nothing of it is told, and nothing in it changes."""

import json
from collections.abc import Iterable
from typing import Any

import httpx
import pytest

from bartizan.doors.testing import Person, program
from tests.attacks.wire.conftest import World
from tests.attacks.wire.world import API, MARK

REFUSED = {403, 404}
# A profile is the platform's, not an organization's; what an address does not exist for is not refused by id.
PLATFORM_WIDE = {
    "GET /preferences/{key}",
    "PUT /preferences/{key}",
    "DELETE /preferences/{key}",
}
MOVING = {"last_used_at", "uses", "last_seen_at", "next_run", "expires_at", "updated_at"}


def told(answer: httpx.Response, secrets: Iterable[str], asked: str) -> list[str]:
    """Find what an answer gives away besides what was asked with."""
    return [secret for secret in {*secrets, MARK} if secret in answer.text and secret not in asked]


def still(value: Any) -> Any:
    """Take out what moves by itself."""
    if isinstance(value, dict):
        return {key: still(inner) for key, inner in value.items() if key not in MOVING}
    return [still(inner) for inner in value] if isinstance(value, list) else value


async def looks(world: World, person: Person) -> dict[str, tuple[int, Any]]:
    """Look at everything of Globex by its id, as somebody at home."""
    seen: dict[str, tuple[int, Any]] = {}
    async with program(world.app, person) as http:
        for operation in world.operations:
            if operation.method == "GET" and operation.parameters:
                answer = await operation.call(http, world.globex.things)
                seen[str(operation)] = (answer.status_code, still(answer.json()))
    return seen


@pytest.mark.feature("TEN-07", "TEN-08", "AZ-01")
async def test_no_id_of_a_neighbour_opens_anything(world: World) -> None:
    before = await looks(world, world.globex.operator)
    assert {status for status, _ in before.values()} == {200}, "a sample leads nowhere even at home"
    wrong: list[str] = []
    secrets = set(world.globex.ids())
    for person in (world.acme.owner, world.acme.admin, world.acme.viewer):
        async with program(world.app, person) as http:
            for operation in world.operations:
                if not operation.parameters or str(operation) in PLATFORM_WIDE:
                    continue
                body = operation.body(world.globex.things)
                answer = await operation.call(http, world.globex.things)
                asked = operation.path(world.globex.things) + json.dumps(body)
                if answer.status_code not in REFUSED or told(answer, secrets, asked):
                    wrong.append(f"{person.role}: {operation}: {answer.status_code} {answer.text[:300]}")
    assert not wrong, "\n".join(wrong)
    assert await looks(world, world.globex.operator) == before


@pytest.mark.feature("TEN-08")
async def test_no_list_shows_anything_of_a_neighbour(world: World) -> None:
    wrong: list[str] = []
    for person in (world.acme.owner, world.acme.viewer):
        async with program(world.app, person) as http:
            for operation in world.operations:
                if operation.method != "GET":
                    continue
                if operation.parameters and str(operation) not in PLATFORM_WIDE:
                    continue
                params = {
                    "user_id": world.globex.member.id, "permission": "app:read", "limit": 200,
                } if operation.template.endswith(("/explain", "/who-can")) else {}  # fmt: skip
                answer = await operation.call(http, world.acme.things, params=params)
                asked = str(answer.url)
                if answer.status_code >= 500 or told(answer, world.globex.ids(), asked):
                    wrong.append(f"{person.role}: {operation}: {answer.status_code} {answer.text[:300]}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.feature("TEN-06", "TEN-08")
@pytest.mark.parametrize("header", ["x-org-id", "x-tenant-id"])
async def test_a_header_moves_nobody_next_door(world: World, header: str) -> None:
    wrong: list[str] = []
    async with program(world.app, world.acme.owner, **{header: world.globex.id}) as http:
        for operation in world.operations:
            answer = await operation.call(http, world.globex.things)
            if answer.status_code != 403 or MARK in answer.text:
                wrong.append(f"{operation}: {answer.status_code} {answer.text[:200]}")
    assert not wrong, "\n".join(wrong)
    async with program(world.app, world.acme.owner, **{"x-team-id": world.globex.things["team_id"]}) as http:
        assert (await http.get(f"{API}/members")).status_code == 403


@pytest.mark.feature("TEN-07", "TEN-08")
async def test_ids_of_a_neighbour_in_bodies_and_queries_lead_nowhere(world: World) -> None:
    acme, globex = world.acme, world.globex
    team, user, theirs = acme.things["team_id"], globex.member.id, globex.things
    asks: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", f"/teams/{team}/members", {"user_id": user}),
        ("POST", "/workspaces", {"name": "w", "team_id": theirs["team_id"]}),
        ("POST", "/invitations", {"email": "a@b.example", "team_id": theirs["team_id"]}),
        ("POST", "/api-keys", {"name": "k", "owner": "team", "team_id": theirs["team_id"]}),
        ("POST", f"/orgs/{acme.id}/transfer", {"user_id": user}),
        ("POST", "/auth/switch", {"org_id": globex.id}),
        ("POST", "/auth/impersonate", {"user_id": user, "reason": "Because"}),
        ("PUT", f"/preferences/theme.color?level=organization&owner_id={globex.id}", {"value": "x"}),
        ("PUT", "/preferences/theme.color?level=global", {"value": "x"}),
        ("PUT", f"/limits?org_id={globex.id}", {"scope": "user", "target": user, "rate": "1/minute"}),
        ("POST", "/invitations", {"email": "a@b.example", "role": f"{MARK}-role"}),
        ("PUT", f"/rbac/members/{acme.member.id}/roles", {"roles": [f"{MARK}-role"]}),
    ]
    looks: list[tuple[str, dict[str, str]]] = [
        ("/audit", {"org": globex.id}),
        (f"/audit/{theirs['audit.event_id']}", {"org": globex.id}),
        ("/audit", {"user": user}),
        ("/audit", {"resource_id": theirs["key_id"]}),
        ("/workspaces", {"team_id": theirs["team_id"]}),
        ("/sessions/all", {"user_id": user}),
        ("/rbac/explain", {"user_id": user, "permission": "app:read"}),
        (
            "/rbac/explain",
            {"user_id": acme.member.id, "permission": "app:read", "team_id": theirs["team_id"]},
        ),
        ("/preferences/theme.color", {"level": "organization", "owner_id": globex.id}),
        ("/preferences/theme.color", {"level": "team", "owner_id": theirs["team_id"]}),
        ("/jobs", {"everywhere": "true"}),
        ("/jobs/counts", {"everywhere": "true"}),
        ("/jobs/failures", {"everywhere": "true"}),
        ("/jobs/schedules", {"everywhere": "true"}),
        (f"/jobs/{theirs['job_id']}", {"everywhere": "true"}),
        ("/email/messages", {"everywhere": "true"}),
        (f"/email/messages/{theirs['message_id']}", {"everywhere": "true"}),
        ("/secrets", {"platform": "true"}),
        ("/limits", {"org_id": globex.id}),
        ("/limits/violations", {"org_id": globex.id}),
        ("/usage/callers", {"org": globex.id}),
        ("/usage/endpoints", {"org": "all"}),
        ("/usage/requests", {"org": globex.id}),
        ("/usage/requests.csv", {"org": "all"}),
    ]
    wrong: list[str] = []
    secrets = set(globex.ids())
    async with program(world.app, acme.owner) as http:
        for method, path, body in asks:
            answer = await http.request(method, API + path, json=body)
            if answer.status_code not in {403, 404, 409, 422} or told(answer, secrets, path + str(body)):
                wrong.append(f"{method} {path} {body}: {answer.status_code} {answer.text[:300]}")
        for path, params in looks:
            answer = await http.get(API + path, params=params)
            if answer.status_code >= 500 or told(answer, secrets, path + str(params)):
                wrong.append(f"GET {path} {params}: {answer.status_code} {answer.text[:300]}")
            if {"everywhere", "platform"} & set(params) and answer.status_code != 403:
                wrong.append(f"GET {path} {params}: {answer.status_code}, for operators only")
    assert not wrong, "\n".join(wrong)


@pytest.mark.feature("TEN-08")
async def test_a_cursor_of_a_neighbour_shows_ones_own_page(world: World) -> None:
    async with program(world.app, world.globex.owner) as http:
        first = (await http.get(f"{API}/events", params={"limit": 1})).json()
    async with program(world.app, world.acme.owner) as http:
        answer = await http.get(f"{API}/events", params={"cursor": first["next"]})
    assert answer.status_code in {200, 422}
    assert MARK not in answer.text
    assert world.globex.id not in answer.text
