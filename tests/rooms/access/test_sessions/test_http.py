"""Signing in over HTTP: JSON and OAuth 2's form, cookies of browsers, and what a wrong answer looks like."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from bartizan.access.identity.routes import routes as identity_routes
from bartizan.access.sessions.routes import routes as session_routes
from bartizan.doors.http.problems import on_invalid, on_refusal
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import current
from bartizan.foundation.database import Database
from bartizan.foundation.errors import BartizanError
from tests.rooms.access.people import GOOD, Access, access, origin


class Recognizing:
    """Recognizes callers as the gate does, as far as these tests need it."""

    def __init__(self, app: ASGIApp, floor: Access) -> None:
        self.app = app
        self.floor = floor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        bearer = headers.get(b"authorization", b"").decode().removeprefix("Bearer ")
        cookie = headers.get(b"cookie", b"").decode().partition("=")[2]
        caller = None
        if token := bearer or cookie:
            caller = (await self.floor.sessions.authenticate(token)).caller()
        with current.acting_as(caller), current.receiving(origin()):
            await self.app(scope, receive, send)


def client_of(floor: Access) -> httpx.AsyncClient:
    app = FastAPI(exception_handlers={BartizanError: on_refusal, RequestValidationError: on_invalid})
    app.include_router(session_routes(floor.sessions))
    app.include_router(identity_routes(floor.identity))
    transport = httpx.ASGITransport(Recognizing(app, floor))
    return httpx.AsyncClient(transport=transport, base_url="https://app.example")


@pytest.fixture
async def client(floor: Access) -> AsyncGenerator[httpx.AsyncClient]:
    async with client_of(floor) as client:
        yield client


ADA = {"email": "ada@example.com", "username": "ada", "password": GOOD, "organization": "Engines"}


def bearer(answer: httpx.Response) -> dict[str, str]:
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


@pytest.mark.feature("ID-01", "ID-02", "ID-13")
async def test_registering_answers_201_with_tokens_that_work(client: httpx.AsyncClient) -> None:
    made = await client.post("/auth/register", json=ADA)
    assert made.status_code == 201
    tokens = made.json()["tokens"]
    me = await client.get("/auth/me", headers={"authorization": f"Bearer {tokens['access_token']}"})
    assert me.json()["organization"]["name"] == "Engines"
    assert me.json()["user"]["email"] == "ada@example.com"
    assert "password" not in me.text
    assert (await client.post("/auth/register", json=ADA)).status_code == 409
    extra = await client.post("/auth/register", json={**ADA, "is_operator": True})
    assert extra.status_code == 422


@pytest.mark.feature("ID-01")
async def test_hidden_accounts_answer_202_to_everybody(
    database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    floor = access(database, clock, tmp_path / "letters", identity={"hide_accounts": True})
    async with client_of(floor) as client:
        answers = [await client.post("/auth/register", json=ADA) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    floor.identity.close()


@pytest.mark.feature("ID-03")
@pytest.mark.parametrize("form", [False, True])
@pytest.mark.parametrize("login", ["ada", "ADA@example.com"])
async def test_json_and_the_oauth_form_sign_in(
    *, floor: Access, client: httpx.AsyncClient, form: bool, login: str
) -> None:
    await floor.register()
    if form:
        body: dict[str, Any] = {
            "data": {"grant_type": "password", "username": login, "password": GOOD, "scope": ""}
        }
    else:
        body = {"json": {"email" if "@" in login else "username": login, "password": GOOD}}
    answer = await client.post("/auth/login", **body)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["token_type"] == "bearer"
    assert (await client.get("/auth/me", headers=bearer(answer))).status_code == 200
    assert "set-cookie" not in answer.headers


@pytest.mark.feature("ID-03")
async def test_wrong_answers_look_the_same_over_http(floor: Access, client: httpx.AsyncClient) -> None:
    await floor.register()
    answers = [
        await client.post("/auth/login", json={"login": login, "password": "something else"})
        for login in ("ada", "nobody", "ada@example.com")
    ]
    assert {answer.status_code for answer in answers} == {401}
    bodies = [
        {key: value for key, value in answer.json().items() if key != "request_id"} for answer in answers
    ]
    assert bodies[0] == bodies[1] == bodies[2]


@pytest.mark.feature("ID-10")
async def test_a_lock_is_429_with_retry_after(floor: Access, client: httpx.AsyncClient) -> None:
    await floor.register()
    for _ in range(5):
        await client.post("/auth/login", json={"login": "ada", "password": "something else"})
    answer = await client.post("/auth/login", json={"login": "ada", "password": GOOD})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "900")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"content": b"{"}, {"content-type": "application/json"}),
        ({"content": b"[1,2]"}, {"content-type": "application/json"}),
        ({"content": b"\xff\xfe"}, {"content-type": "text/plain"}),
        ({"json": {"login": "ada"}}, {}),
        ({"json": {"login": "ada", "password": "x" * 129}}, {}),
        ({"json": {"login": "ada", "password": GOOD, "more": 1}}, {}),
        ({"data": {"username": "ada"}}, {}),
        ({"data": {"username": "ada", "password": "y" * 200}}, {}),
    ],
)
async def test_what_is_no_login_is_422_and_echoes_nothing(
    client: httpx.AsyncClient, body: dict[str, Any], headers: dict[str, str]
) -> None:
    answer = await client.post("/auth/login", headers=headers, **body)
    assert answer.status_code == 422
    assert "xxx" not in answer.text
    assert "yyy" not in answer.text
    assert GOOD not in answer.text


@pytest.mark.feature("ID-16")
@pytest.mark.parametrize("secure", [True, False])
async def test_a_browser_gets_a_cookie_that_scripts_cannot_read_and_no_tokens(
    *, database: Database, clock: ManualClock, tmp_path: Path, secure: bool
) -> None:
    floor = access(database, clock, tmp_path / "letters", identity={})
    floor.sessions.secure_cookies = secure
    async with client_of(floor) as client:
        made = await client.post("/auth/register", json={**ADA, "cookie": True})
        assert made.json()["tokens"]["session_token"] is None
        client.cookies.clear()
        answer = await client.post("/auth/login", json={"login": "ada", "password": GOOD, "cookie": True})
        body = answer.json()
        assert [body[name] for name in ("access_token", "refresh_token", "session_token")] == [None] * 3
        cookie = answer.headers["set-cookie"]
        name, _, rest = cookie.partition("=")
        assert name == ("__Host-bartizan" if secure else "bartizan")
        flags = {flag.strip().lower() for flag in rest.split(";")[1:]}
        assert {"httponly", "path=/", "samesite=lax"} <= flags
        assert ("secure" in flags) is secure
        assert "domain" not in cookie.lower()
        me = (await client.get("/auth/me")).json()
        assert me["csrf_token"] == body["csrf_token"]
        assert floor.sessions.check_csrf(me["session_id"], body["csrf_token"])
        out = await client.post("/auth/logout")
        assert out.status_code == 204
        assert "max-age=0" in out.headers["set-cookie"].lower()
        assert not client.cookies
    floor.identity.close()


@pytest.mark.feature("ID-05", "ID-07", "ID-18", "TEN-12")
async def test_refreshing_listing_switching_and_acting_as_somebody_over_http(
    floor: Access, client: httpx.AsyncClient
) -> None:
    owner = await floor.register("owner")
    dev = await floor.member("dev", owner.org_id or "")
    signed = await client.post("/auth/login", json={"login": "owner", "password": GOOD})
    refreshed = await client.post("/auth/refresh", json={"refresh_token": signed.json()["refresh_token"]})
    assert refreshed.status_code == 200
    me = bearer(refreshed)
    switched = await client.post("/auth/switch", json={"org_id": owner.org_id}, headers=me)
    assert switched.json()["org_id"] == owner.org_id
    me = bearer(switched)
    listed = (await client.get("/sessions", headers=me)).json()["items"]
    assert [one["current"] for one in listed] == [True, False]
    acting = await client.post(
        "/auth/impersonate", json={"user_id": dev.user_id, "reason": "Case 4711"}, headers=me
    )
    assert acting.status_code == 201
    assert (await client.get("/auth/me", headers=bearer(acting))).json()["impersonator"] == owner.user_id
    back = await client.post("/auth/impersonate/stop", json={}, headers=bearer(acting))
    assert back.status_code == 200
    me = bearer(back)
    everybody = (await client.get("/sessions/all", headers=me)).json()["items"]
    assert {one["user_id"] for one in everybody} == {owner.user_id, dev.user_id}
    assert (await client.delete(f"/sessions/people/{dev.user_id}", headers=me)).status_code == 204
    assert (await client.delete("/sessions", headers=me)).status_code == 204
    assert (await client.delete(f"/sessions/{listed[0]['id']}", headers=me)).status_code == 204


@pytest.mark.feature("ID-14")
async def test_operators_administer_people_over_http(floor: Access, client: httpx.AsyncClient) -> None:
    root = await floor.operator()
    ada = await floor.register()
    me = {"authorization": f"Bearer {root.access_token}"}
    page = (await client.get("/identity/users", params={"search": "ad", "limit": 1}, headers=me)).json()
    assert [user["id"] for user in page["items"]] == [ada.user_id]
    changed = await client.patch(f"/identity/users/{ada.user_id}", json={"full_name": "Ada"}, headers=me)
    assert changed.json()["full_name"] == "Ada"
    assert (
        await client.patch(f"/identity/users/{ada.user_id}", json={"id": "x"}, headers=me)
    ).status_code == 422
    assert (await client.get("/identity/me", headers=me)).json()["id"] == root.user_id
    forbidden = await client.get("/identity/users", headers={"authorization": f"Bearer {ada.access_token}"})
    assert forbidden.status_code == 403
    assert (await client.post("/auth/password/forgot", json={"email": "who@example.com"})).status_code == 202
    assert (await client.post("/auth/verify", json={"token": "x" * 43})).status_code == 422
