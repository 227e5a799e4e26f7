"""The gate: default deny, one caller, honest headers, nothing changed without a record."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from bartizan.doors.frameworks import Wrapped, wrap
from bartizan.doors.testing import Cast, Person, anyone, browser, program
from bartizan.foundation.context import current
from bartizan.house import Bartizan
from tests.doors.hosts import echo


@pytest.fixture
async def app(bartizan_settings: dict[str, Any]) -> AsyncGenerator[Wrapped]:
    settings = dict(bartizan_settings)
    settings["guard"] = {
        "public_paths": ["/ping", "/static/*"],
        "read_routes": ["POST /search"],
        "trusted_proxies": ["10.0.0.0/8"],
        "max_body": 2048,
    }
    app = wrap(echo(), settings)
    await app.bz.start(embedded=False)
    yield app
    await app.bz.stop()


def nobody(app: ASGIApp) -> httpx.AsyncClient:
    return anyone(app)


async def acme(bz: Bartizan) -> str:
    return await Cast(bz).organization("Acme")


async def globex(bz: Bartizan) -> str:
    return await Cast(bz).organization("Globex")


async def person(bz: Bartizan, org_id: str, role: str) -> Person:
    return await Cast(bz).person(org_id, role)


@pytest.mark.feature("CORE-02")
async def test_without_credentials_every_path_of_the_app_is_401(app: Wrapped) -> None:
    async with nobody(app) as http:
        for method, path in (
            ("GET", "/"),
            ("GET", "/api/things"),
            ("POST", "/api/things"),
            ("DELETE", "/no/such"),
        ):
            answer = await http.request(method, path)
            assert answer.status_code == 401, (method, path)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.feature("CORE-02", "AZ-01")
async def test_a_member_uses_the_app_unchanged_and_a_viewer_only_looks(app: Wrapped) -> None:
    org = await acme(app.bz)
    member, viewer = await person(app.bz, org, "member"), await person(app.bz, org, "viewer")
    async with program(app, member) as http:
        read, written = await http.get("/api/things"), await http.post("/api/things", json={"a": 1})
    assert read.json()["caller"] == member.id
    assert read.json()["org"] == org
    assert written.status_code == 200
    async with program(app, viewer) as http:
        assert (await http.get("/api/things")).status_code == 200
        refused = await http.post("/api/things", json={"a": 1})
        assert (await http.post("/search", json={})).status_code == 200
    assert refused.status_code == 403
    assert refused.json()["permission"] == "app:write"


async def test_a_page_goes_to_sign_in_and_comes_back(app: Wrapped) -> None:
    async with nobody(app) as http:
        answer = await http.get(
            "/reports?week=3", headers={"accept": "text/html", "sec-fetch-mode": "navigate"}
        )
        xhr = await http.get("/reports", headers={"accept": "text/html", "sec-fetch-mode": "cors"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/_bartizan/sign-in?next=%2Freports%3Fweek%3D3"
    assert xhr.status_code == 401


async def test_public_paths_are_exact_and_cannot_be_stretched(app: Wrapped) -> None:
    async with nobody(app) as http:
        assert (await http.get("/ping")).status_code == 200
        assert (await http.get("/static/app.css")).status_code == 200
        for path in (
            "/ping/",
            "/pings",
            "/static/../api",
            "/static/%2e%2e/api",
            "/static//x",
            "/static/a%5c..%5capi",
        ):
            url = httpx.URL("http://app.test", raw_path=path.encode())
            assert (await http.get(url)).status_code == 401, path


@pytest.mark.feature("CORE-02")
async def test_encoded_paths_meet_the_same_gate(app: Wrapped) -> None:
    async with nobody(app) as http:
        for path in ("/api%2Fthings", "/%61pi/things", "/api/things%00", "/_bartizan%2Fapi/v1/audit"):
            url = httpx.URL("http://app.test", raw_path=path.encode())
            assert (await http.get(url)).status_code in {401, 404}, path


async def test_headers_that_claim_an_identity_never_arrive(app: Wrapped) -> None:
    org = await acme(app.bz)
    member = await person(app.bz, org, "member")
    forged = {
        "x-user-id": "usr_root",
        "x-forwarded-user": "root",
        "remote-user": "root",
        "X_Forwarded_User": "root",
        "x-auth-request-email": "root@example.com",
    }
    async with program(app, member) as http:
        seen = (await http.get("/api/things", headers=forged)).json()
    assert not {name.replace("_", "-") for name in seen["headers"]} & {
        name.lower().replace("_", "-") for name in forged
    }
    assert seen["caller"] == member.id
    async with nobody(app) as http:
        assert (await http.get("/api/things", headers=forged)).status_code == 401


async def test_the_app_never_sees_the_credential(app: Wrapped) -> None:
    org = await acme(app.bz)
    member = await person(app.bz, org, "member")
    async with program(app, member) as http:
        assert "authorization" not in (await http.get("/x")).json()["headers"]
    async with browser(app, member) as http:
        http.cookies.set("theme", "dark")
        seen = (await http.get("/x")).json()["headers"]
        assert seen["cookie"] == "theme=dark"


@pytest.mark.feature("NET-03")
async def test_every_answer_carries_its_request_id_and_safe_headers(app: Wrapped) -> None:
    async with nobody(app) as http:
        for path in ("/ping", "/x", "/_bartizan/health/live", "/_bartizan/api/v1/audit"):
            answer = await http.get(path)
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-request-id"].startswith("req_")
            assert "x-frame-options" in answer.headers
            assert "server" not in answer.headers


@pytest.mark.feature("NET-03")
async def test_bodies_and_headers_have_a_limit(app: Wrapped) -> None:
    org = await acme(app.bz)
    member = await person(app.bz, org, "member")

    async def drip() -> AsyncGenerator[bytes]:
        for _ in range(40):
            yield b"x" * 100

    async with program(app, member) as http:
        told = await http.post("/x", content=b"x" * 4000)
        untold = await http.post("/x", content=drip())
        heads = await http.get("/x", headers={"x-long": "y" * 40_000})
    assert told.status_code == untold.status_code == 413
    assert told.json()["code"] == "body-too-large"
    assert heads.status_code == 431


@pytest.mark.feature("TEN-06", "TEN-12")
async def test_an_organization_header_counts_only_for_members(app: Wrapped) -> None:
    ours, theirs = await acme(app.bz), await globex(app.bz)
    member = await person(app.bz, ours, "member")
    both = await person(app.bz, ours, "member")
    await Cast(app.bz).join(both.id, theirs, "viewer")
    async with program(app, both) as http:
        assert (await http.get("/x", headers={"x-org-id": theirs})).json()["org"] == theirs
        assert (await http.post("/x", headers={"x-org-id": theirs})).status_code == 403
        assert (await http.post("/x", headers={"x-org-id": ours})).status_code == 200
    async with program(app, member) as http:
        for header in ("x-org-id", "x-tenant-id"):
            assert (await http.get("/x", headers={header: theirs})).status_code == 403
            assert (await http.get("/x", headers={header: ours})).json()["org"] == ours
            assert (await http.get("/x", headers={header: "org_nonsense"})).status_code == 403


@pytest.mark.feature("ID-16")
async def test_a_cookie_counts_only_for_our_own_pages(app: Wrapped) -> None:
    org = await acme(app.bz)
    member = await person(app.bz, org, "member")
    async with browser(app, member) as http:
        ours = await http.post("/x", headers={"origin": "http://app.test"})
        fetched = await http.post("/x", headers={"sec-fetch-site": "same-origin"})
        theirs = await http.post("/x", headers={"origin": "https://evil.example"})
        sibling = await http.post("/x", headers={"sec-fetch-site": "same-site"})
        silent = await http.post("/x")
        null = await http.post("/x", headers={"origin": "null"})
        read = await http.get("/x", headers={"sec-fetch-site": "cross-site"})
    assert (ours.status_code, fetched.status_code, read.status_code) == (200, 200, 200)
    for answer in (theirs, sibling, silent, null):
        assert answer.status_code == 403
        assert answer.json()["code"] == "cross-site"


@pytest.mark.feature("ID-16")
async def test_a_csrf_token_stands_in_for_an_origin(app: Wrapped) -> None:
    org = await acme(app.bz)
    member, other = await person(app.bz, org, "member"), await person(app.bz, org, "member")
    async with browser(app, member) as http:
        good = app.bz.sessions.csrf_token(member.session_id)
        bad = app.bz.sessions.csrf_token(other.session_id)
        assert (await http.post("/x", headers={"x-csrf-token": good})).status_code == 200
        assert (await http.post("/x", headers={"x-csrf-token": bad})).status_code == 403


@pytest.mark.feature("AUD-01", "AUD-03")
async def test_a_mutation_of_the_app_is_on_record_with_who_and_from_where(app: Wrapped) -> None:
    org = await acme(app.bz)
    member, owner = await person(app.bz, org, "member"), await person(app.bz, org, "owner")
    async with program(app, member, address="198.51.100.7") as http:
        http.headers["user-agent"] = "Abacus/1.0"
        answer = await http.patch("/api/things/7?secret=1", json={})
    async with program(app, owner) as http:
        events = (await http.get("/_bartizan/api/v1/audit")).json()["items"]
    rows = [event for event in events if event["path"] == "/api/things/7"]
    assert len(rows) == 1
    assert rows[0]["actor"]["id"] == member.id
    assert rows[0]["method"] == "PATCH"
    assert rows[0]["personal"]["ip"] == "198.51.100.7"
    assert rows[0]["personal"]["user_agent"] == "Abacus/1.0"
    assert rows[0]["outcome"] == "success"
    assert rows[0]["request_id"] == answer.headers["x-request-id"]
    assert "secret" not in str(rows[0])


@pytest.mark.feature("AUD-01")
async def test_a_mutation_that_broke_the_app_is_on_record_as_a_failure(app: Wrapped) -> None:
    org = await acme(app.bz)
    member, owner = await person(app.bz, org, "member"), await person(app.bz, org, "owner")
    async with program(app, member) as http:
        with pytest.raises(ValueError, match="fell over"):
            await http.post("/broken")
    async with program(app, owner) as http:
        events = (await http.get("/_bartizan/api/v1/audit")).json()["items"]
    assert [event["outcome"] for event in events if event["path"] == "/broken"] == ["failure"]


@pytest.mark.feature("KEY-04", "KEY-06")
async def test_both_headers_take_a_key_and_garbage_never_passes(app: Wrapped) -> None:
    org = await acme(app.bz)
    member = await person(app.bz, org, "member")
    async with program(app, member) as http:
        new = {"name": "ci", "scopes": ["app:read"]}
        made = await http.post("/_bartizan/api/v1/api-keys", json=new)
        secret = made.json()["secret"]
    async with nobody(app) as http:
        for headers in ({"x-api-key": secret}, {"authorization": f"Bearer {secret}"}):
            answer = await http.get("/x", headers=headers)
            assert answer.status_code == 200
            assert not {"x-api-key", "authorization"} & set(answer.json()["headers"])
            assert (await http.post("/x", headers=headers)).status_code == 403
        broken = secret[:-1] + ("a" if secret[-1] != "a" else "b")
        for bad in (
            broken,
            "btz_live_",
            "vst_whatever",
            "",
            " ",
            secret[:20],
            secret + "x",
            "btz_live_" + "0" * 36,
        ):
            assert (await http.get("/x", headers={"x-api-key": bad})).status_code == 401, bad
            assert (await http.get("/x", headers={"authorization": f"Bearer {bad}"})).status_code == 401, bad
            assert (await http.get("/x", params={"api_key": secret})).status_code == 401


@pytest.mark.feature("ID-06", "X-05")
async def test_signing_out_is_felt_at_once(app: Wrapped) -> None:
    org = await acme(app.bz)
    member = await person(app.bz, org, "member")
    async with program(app, member) as http:
        assert (await http.get("/x")).status_code == 200
        assert (await http.post("/_bartizan/api/v1/auth/logout")).status_code in {200, 204}
        assert (await http.get("/x")).status_code == 401


async def test_cors_preflights_reach_the_app(app: Wrapped) -> None:
    async with nobody(app) as http:
        asked = {"origin": "https://spa.example", "access-control-request-method": "POST"}
        assert (await http.options("/x", headers=asked)).status_code == 200
        assert (await http.options("/x")).status_code == 401


async def test_the_client_is_found_behind_trusted_proxies_only(app: Wrapped) -> None:
    org = await acme(app.bz)
    member = await person(app.bz, org, "member")
    forwarded = {"x-forwarded-for": "6.6.6.6, 198.51.100.20, 10.1.1.1", "x-forwarded-proto": "https"}
    async with program(app, member, address="10.9.9.9") as http:
        behind = (await http.get("/x", headers=forwarded)).json()
    async with program(app, member, address="203.0.113.50") as http:
        direct = (await http.get("/x", headers=forwarded)).json()
    assert (behind["client"], behind["scheme"]) == ("198.51.100.20", "https")
    assert (direct["client"], direct["scheme"]) == ("203.0.113.50", "http")


async def test_streams_pass_through(app: Wrapped) -> None:
    org = await acme(app.bz)
    member = await person(app.bz, org, "viewer")
    async with program(app, member) as http:
        assert (await http.get("/stream")).text == "0\n1\n2\n"


async def test_many_at_once_keep_their_own_caller(app: Wrapped) -> None:
    org = await acme(app.bz)
    people: list[Person] = [await person(app.bz, org, "member") for _ in range(5)]
    clients = [program(app, one) for one in people]
    answers = await asyncio.gather(*(client.get("/x") for client in clients for _ in range(10)))
    expected = [one.id for one in people for _ in range(10)]
    assert [answer.json()["caller"] for answer in answers] == expected
    for client in clients:
        await client.aclose()


@pytest.mark.feature("ID-16", "ID-06")
async def test_a_browser_gets_another_token_when_its_rights_change(app: Wrapped) -> None:
    org = await acme(app.bz)
    member = await person(app.bz, org, "member")
    async with browser(app, member) as http:
        before = await http.get("/x")
        with current.as_system(org):
            await app.bz.rbac.place(member.id, ["viewer"], org_id=org)
        after = await http.get("/x")
        assert "set-cookie" not in before.headers
        assert after.headers["set-cookie"].startswith("bartizan=")
        assert member.token not in after.headers["set-cookie"]
        http.cookies.clear()
        name, _, token = after.headers["set-cookie"].partition(";")[0].partition("=")
        http.cookies.set(name, token)
        again = await http.get("/x")
        assert again.status_code == 200
        assert "set-cookie" not in again.headers
