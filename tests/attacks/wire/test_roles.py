"""Who may do what over HTTP: nobody, a browser led by another site, a viewer, bodies that ask for more."""

from typing import Any

import pytest

from bartizan.doors.testing import anyone, browser, program
from tests.attacks.wire.conftest import World
from tests.attacks.wire.world import API, PUBLIC

# What a viewer may change: who they are, how they are signed in, what only they see, where they belong.
OWN = {
    "PATCH /identity/me",
    "POST /auth/logout",
    "POST /auth/password/change",
    "POST /auth/switch",
    "POST /members/leave",
    "POST /invitations/accept",
    "POST /orgs",
    "DELETE /sessions",
    "PUT /preferences/{key}",
    "DELETE /preferences/{key}",
}
REFUSED = {401, 403, 404, 409}
EXTRA = {
    "id": "usr_00000000000000000000000000",
    "org_id": "org_00000000000000000000000000",
    "role": "owner",
    "is_operator": True,
    "password_hash": "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAA",
    "created_at": "2020-01-01T00:00:00Z",
}
# Where such a field is what the operation is for; who may use it is tested where the rule lives.
MEANT = {
    ("ImportedUser", "password_hash"),
    ("UserChanges", "is_operator"),
    ("NewMember", "role"),
    ("MemberChanges", "role"),
    ("NewTeamMember", "role"),
    ("TeamMemberChanges", "role"),
    ("NewInvitation", "role"),
    ("NewDomain", "role"),
    ("NewIpRule", "role"),
    ("Switch", "org_id"),
}


@pytest.mark.feature("CORE-02", "AZ-01")
async def test_nobody_gets_401_but_at_the_few_open_doors(world: World) -> None:
    seen = {str(operation) for operation in world.operations}
    assert seen >= PUBLIC
    wrong: list[str] = []
    async with anyone(world.app) as http:
        for operation in world.operations:
            answer = await operation.call(http, world.acme.things)
            fits = answer.status_code != 401 if str(operation) in PUBLIC else answer.status_code == 401
            if str(operation) == "POST /auth/login" or str(operation) == "POST /auth/refresh":
                fits = answer.status_code == 401  # open, but not for these credentials
            if not fits or answer.status_code >= 500:
                wrong.append(f"{operation}: {answer.status_code} {answer.text[:200]}")
            if answer.status_code == 401:
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.headers["www-authenticate"].startswith("Bearer")
    assert not wrong, "\n".join(wrong)


@pytest.mark.feature("CORE-02")
async def test_a_bad_credential_is_refused_everywhere(world: World) -> None:
    wrong: list[str] = []
    for header in ({"authorization": "Bearer nonsense"}, {"x-api-key": "btz_live_nonsense"}):
        async with anyone(world.app, **header) as http:
            for operation in world.operations:
                answer = await operation.call(http, world.acme.things)
                if answer.status_code != 401:
                    wrong.append(f"{operation}: {answer.status_code} {answer.text[:200]}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.feature("ID-16")
async def test_no_other_site_changes_anything_with_a_cookie(world: World) -> None:
    wrong: list[str] = []
    sites: list[dict[str, str]] = [
        {},
        {"origin": "https://evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"origin": "null"},
    ]
    async with browser(world.app, world.acme.owner) as http:
        for headers in sites:
            for operation in world.operations:
                if not operation.changes:
                    continue
                answer = await operation.call(http, world.acme.things, headers=headers)
                if answer.status_code != 403 or answer.json()["code"] != "cross-site":
                    wrong.append(f"{headers} {operation}: {answer.status_code} {answer.text[:200]}")
        assert not wrong, "\n".join(wrong[:20])
        proof = {"x-csrf-token": world.app.bz.sessions.csrf_token(world.acme.owner.session_id)}
        assert (await http.post(f"{API}/teams", json={"name": "Ours"}, headers=proof)).status_code == 201


@pytest.mark.feature("AZ-01")
async def test_a_viewer_changes_nothing_but_what_is_their_own(world: World) -> None:
    wrong: list[str] = []
    viewer = world.acme.viewer
    async with program(world.app, viewer) as http:
        for operation in world.operations:
            if not operation.changes or str(operation) in PUBLIC | OWN:
                continue
            answer = await operation.call(http, world.acme.things)
            if answer.status_code not in REFUSED or answer.status_code == 401:
                wrong.append(f"{operation}: {answer.status_code} {answer.text[:200]}")
        assert not wrong, "\n".join(wrong)
        others = {"level": "organization"}, {"level": "user", "owner_id": world.acme.member.id}
        for params in (*others, {"level": "global"}):
            for method in ("PUT", "DELETE"):
                body: dict[str, Any] = {"json": {"value": "x"}} if method == "PUT" else {}
                path = f"{API}/preferences/theme.color"
                answer = await http.request(method, path, params=params, **body)
                assert answer.status_code == 403, (method, params, answer.text)
        for user in (world.acme.member.id, world.acme.owner.id):
            answer = await http.patch(f"{API}/identity/users/{user}", json={"full_name": "Mine"})
            assert answer.status_code == 403
        assert (await http.get(f"{API}/auth/me")).status_code == 200


@pytest.mark.feature("KEY-04", "AZ-01")
async def test_a_key_that_may_only_look_changes_nothing_even_of_its_owners(world: World) -> None:
    wrong: list[str] = []
    async with program(world.app, world.acme.owner) as http:
        made = await http.post(f"{API}/api-keys", json={"name": "looks", "scopes": ["app:read"]})
    async with anyone(world.app, **{"x-api-key": made.json()["secret"]}) as http:
        mine = {
            **world.acme.things,
            "user_id": world.acme.owner.id,
            "session_id": world.acme.owner.session_id,
        }
        for things in (world.acme.things, mine):
            for operation in world.operations:
                if not operation.changes or str(operation) in PUBLIC:
                    continue
                answer = await operation.call(http, things)
                if answer.status_code not in REFUSED or answer.status_code == 401:
                    wrong.append(f"{operation}: {answer.status_code} {answer.text[:200]}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.feature("TEN-07", "AZ-01")
async def test_no_body_takes_more_than_it_says(world: World) -> None:
    wrong: list[str] = []
    tried = 0
    async with program(world.app, world.acme.operator) as http:
        for operation in world.operations:
            if operation.schema is None:
                continue
            for field, value in EXTRA.items():
                if (operation.schema, field) in MEANT:
                    continue
                tried += 1
                body = operation.body(world.acme.things, **{field: value})
                answer = await operation.call(http, world.acme.things, json=body)
                named = answer.status_code == 422 and field in {
                    one["field"].rpartition(".")[2] for one in answer.json().get("errors", ())
                }
                if not named:
                    wrong.append(f"{operation} {field}: {answer.status_code} {answer.text[:200]}")
    assert tried > 200
    assert not wrong, "\n".join(wrong)


@pytest.mark.feature("ID-01")
async def test_registering_makes_nobody_an_operator(world: World) -> None:
    async with program(world.app, world.acme.owner) as http:
        for path in ("/identity/users/import", "/identity/users"):
            answer = await http.post(API + path, json={"email": "a@b.example", "is_operator": True})
            assert answer.status_code in {403, 405, 422}
        mine = f"{API}/identity/users/{world.acme.owner.id}"
        assert (await http.patch(mine, json={"is_operator": True})).status_code == 403
        assert (await http.patch(f"{API}/identity/me", json={"is_operator": True})).status_code == 422
    async with program(world.app, world.acme.operator) as http:
        mine = f"{API}/identity/users/{world.acme.operator.id}"
        answer = await http.patch(mine, json={"is_operator": True})
        assert answer.status_code in {403, 409, 422}, answer.text
