"""Signing in over HTTP: sessions fixed or kept, acting as others, and telling who has an account."""

import statistics
import time
from typing import Any

import httpx
import pytest

from bartizan.doors.frameworks import Wrapped
from bartizan.doors.testing import Cast, anyone, browser, program
from bartizan.foundation.context import current
from tests.attacks.wire.conftest import World
from tests.attacks.wire.world import API, house

PASSWORD = "correct horse battery staple 9"
HOST = {"origin": "http://app.test"}


async def registered(http: httpx.AsyncClient, email: str) -> dict[str, Any]:
    body = {"email": email, "password": PASSWORD, "organization": "Acme"}
    answer = await http.post(f"{API}/auth/register", json=body)
    assert answer.status_code == 201, answer.text
    tokens: dict[str, Any] = answer.json()["tokens"]
    return tokens


@pytest.mark.feature("ID-06", "ID-16")
async def test_a_session_that_was_planted_is_never_the_one_that_signs_in(app: Wrapped) -> None:
    async with anyone(app) as http:
        planted = (await registered(http, "eve@example.com"))["session_token"]
        await registered(http, "ada@example.com")
    for cookie in (planted, "chosen-by-somebody-else", ""):
        async with anyone(app, **HOST) as http:
            http.cookies.set("bartizan", cookie)
            body = {"login": "ada@example.com", "password": PASSWORD, "cookie": True}
            answer = await http.post(f"{API}/auth/login", json=body)
            assert answer.status_code == 200, answer.text
            given = answer.headers["set-cookie"]
            assert f"bartizan={cookie};" not in given
            assert "HttpOnly" in given
            assert "SameSite=lax" in given
            assert answer.json()["session_token"] is None
    async with anyone(app) as http:
        http.cookies.set("bartizan", planted)
        assert "eve@example.com" in (await http.get(f"{API}/auth/me")).text


@pytest.mark.feature("ID-06", "X-05")
async def test_what_changes_who_somebody_is_gives_a_new_token_and_ends_the_old(world: World) -> None:
    member = world.acme.member
    await Cast(world.app.bz).join(member.id, world.globex.id, "viewer")
    async with browser(world.app, member, **HOST) as http:
        body = {"org_id": world.globex.id, "cookie": True}
        answer = await http.post(f"{API}/auth/switch", json=body)
        assert answer.status_code == 200
        assert member.token not in answer.headers["set-cookie"]
    async with browser(world.app, member, **HOST) as http:
        assert (await http.get(f"{API}/auth/me")).status_code == 401
    async with program(world.app, world.acme.admin) as http:
        assert (await http.post(f"{API}/auth/logout")).status_code == 204
        for path in ("/auth/me", "/teams"):
            assert (await http.get(API + path)).status_code == 401
        assert (await http.post(f"{API}/auth/refresh", json={"refresh_token": "x" * 43})).status_code == 401


@pytest.mark.feature("ID-18", "AUD-03")
async def test_acting_as_another_gives_no_more_and_is_on_record_with_both_names(world: World) -> None:
    acme = world.acme
    async with program(world.app, acme.admin) as http:
        body = {"user_id": acme.member.id, "reason": "Support case 4711"}
        for missing in ({"user_id": acme.member.id}, {**body, "reason": ""}, {**body, "reason": "   "}):
            assert (await http.post(f"{API}/auth/impersonate", json=missing)).status_code == 422
        for whom in (acme.operator.id, acme.admin.id):
            refused = await http.post(f"{API}/auth/impersonate", json={**body, "user_id": whom})
            assert refused.status_code == 403, refused.text
        for whom in (world.globex.member.id, "usr_00000000000000000000000000"):
            refused = await http.post(f"{API}/auth/impersonate", json={**body, "user_id": whom})
            assert refused.status_code == 404, refused.text
        answer = await http.post(f"{API}/auth/impersonate", json=body)
        assert answer.status_code == 201, answer.text
        as_member = answer.json()["access_token"]
        answer = await http.post(f"{API}/auth/impersonate", json={**body, "user_id": acme.owner.id})
        as_owner = answer.json()["access_token"] if answer.status_code == 201 else None
    async with anyone(world.app, authorization=f"Bearer {as_member}") as http:
        me = (await http.get(f"{API}/auth/me")).json()
        assert acme.admin.id in str(me)
        attacks: list[tuple[str, str, dict[str, Any]]] = [
            ("POST", "/auth/impersonate", {"user_id": acme.viewer.id, "reason": "And further"}),
            ("POST", "/auth/password/change", {"current_password": PASSWORD, "new_password": PASSWORD + "x"}),
            ("POST", "/auth/switch", {"org_id": world.globex.id}),
            ("PATCH", "/identity/me", {"username": "mine"}),
            ("POST", "/api-keys", {"name": "keeps on", "scopes": ["app:read"]}),
            ("POST", "/members/leave", {}),
            ("POST", "/orgs", {"name": "Mine"}),
            ("DELETE", "/sessions", {}),
        ]
        for method, path, json in attacks:
            refused = await http.request(method, API + path, json=json or None)
            assert refused.status_code in {403, 409}, (method, path, refused.status_code, refused.text)
        assert (await http.get(f"{API}/secrets")).status_code == 403
        for header in ("x-org-id", "x-tenant-id"):
            assert (await http.get(f"{API}/teams", headers={header: world.globex.id})).status_code == 403
        done = await http.put(f"{API}/preferences/theme.color", json={"value": "red"})
        assert done.status_code == 200
    if as_owner:
        async with anyone(world.app, authorization=f"Bearer {as_owner}") as http:
            assert (
                await http.post(f"{API}/orgs/{acme.id}/close", json={"confirm": "acme"})
            ).status_code == 403
    async with program(world.app, acme.owner) as http:
        rows = (await http.get(f"{API}/audit", params={"user": acme.member.id, "limit": 200})).json()["items"]
        every = (await http.get(f"{API}/audit", params={"limit": 200})).json()["items"]
    mine = [row for row in rows if row["action"].startswith("preference")]
    assert mine
    assert acme.admin.id in str(mine[0])
    assert acme.member.id in str(mine[0])
    started = [row for row in every if row["action"] == "impersonation.started"]
    assert "4711" in str(started)
    assert acme.member.id in str(started)


@pytest.mark.feature("ID-18", "X-05")
async def test_acting_as_another_ends_with_either_of_the_two(world: World) -> None:
    acme = world.acme
    tokens: list[str] = []
    async with program(world.app, acme.admin) as http:
        body = {"user_id": acme.member.id, "reason": "Support case 4711"}
        tokens.append((await http.post(f"{API}/auth/impersonate", json=body)).json()["access_token"])
    async with anyone(world.app, authorization=f"Bearer {tokens[0]}") as http:
        assert (await http.get(f"{API}/auth/me")).status_code == 200
        with current.as_system():
            await world.app.bz.identity.deactivate(acme.admin.id)
        assert (await http.get(f"{API}/auth/me")).status_code == 401


@pytest.mark.feature("KEY-04", "KEY-06", "X-05")
async def test_a_key_works_by_all_of_its_letters_and_only_while_its_owner_does(world: World) -> None:
    async with program(world.app, world.acme.member) as http:
        made = await http.post(f"{API}/api-keys", json={"name": "ci", "scopes": ["app:read"]})
        key = made.json()["secret"]
        more = await http.post(f"{API}/api-keys", json={"name": "more", "scopes": ["orgs:delete"]})
        assert more.status_code == 403
    async with anyone(world.app) as http:
        good = await http.get(f"{API}/auth/me", headers={"x-api-key": key})
        assert good.status_code != 401
        for bad in (key[:-1], key[:24], key + "0", key.swapcase(), key[:9] + key[10:], f" {key[:-2]} "):
            assert (await http.get(f"{API}/auth/me", headers={"x-api-key": bad})).status_code == 401
        for name in ("api_key", "apikey", "access_token", "token", "key"):
            assert (await http.get(f"{API}/auth/me", params={name: key})).status_code == 401
        both = {"x-api-key": key[:-1], "authorization": f"Bearer {world.acme.owner.access_token}"}
        assert (await http.get(f"{API}/auth/me", headers=both)).status_code == 401
        with current.as_system():
            await world.app.bz.identity.deactivate(world.acme.member.id)
        assert (await http.get(f"{API}/auth/me", headers={"x-api-key": key})).status_code == 401


@pytest.mark.feature("ID-01", "ID-03")
async def test_nothing_over_http_tells_who_has_an_account(bartizan_settings: dict[str, Any]) -> None:
    """``hide_accounts`` is on in production by itself; the rest of production needs no part in this."""
    app = await house(bartizan_settings, identity={"hide_accounts": True})
    took: dict[str, list[float]] = {"known": [], "unknown": []}
    try:
        async with anyone(app) as http:
            known = "ada@example.com"
            await http.post(f"{API}/auth/register", json={"email": known, "password": PASSWORD})
            for number in range(4):
                shown = []
                for who, email in (("known", known), ("unknown", f"new-{number}@example.com")):
                    started = time.perf_counter()
                    answer = await http.post(
                        f"{API}/auth/register", json={"email": email, "password": PASSWORD}
                    )
                    took[who].append(time.perf_counter() - started)
                    shown.append((answer.status_code, answer.text, sorted(answer.headers)))
                assert shown[0] == shown[1]
            for path in ("/auth/password/forgot", "/auth/verify/resend"):
                answers = [
                    await http.post(API + path, json={"email": email})
                    for email in (known, "nobody@example.com")
                ]
                assert {(a.status_code, a.text) for a in answers} == {(202, answers[0].text)}
            wrong = [
                await http.post(f"{API}/auth/login", json={"login": login, "password": "not it, surely"})
                for login in (known, "nobody@example.com")
            ]
            assert {a.status_code for a in wrong} == {401}
            assert wrong[0].json() | {"request_id": 0} == wrong[1].json() | {"request_id": 0}
        assert abs(statistics.median(took["known"]) - statistics.median(took["unknown"])) < 0.35, took
    finally:
        await app.bz.stop()
