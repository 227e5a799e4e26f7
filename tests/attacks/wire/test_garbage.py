"""What no honest client sends: each is refused clearly, and nothing of it is a fault."""

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from bartizan.doors.frameworks import Wrapped
from bartizan.doors.testing import Cast, Person, anyone, browser, program
from tests.attacks.wire.world import API
from tests.doors.served import served

JSON = {"content-type": "application/json"}
PROBLEM = "application/problem+json"


@pytest.fixture
async def owner(app: Wrapped) -> Person:
    cast = Cast(app.bz)
    return await cast.person(await cast.organization(), "owner")


def refused(answer: httpx.Response, *statuses: int) -> None:
    assert answer.status_code in statuses, (answer.status_code, answer.text[:400])
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["status"] == answer.status_code


@pytest.mark.feature("NET-03")
@pytest.mark.parametrize("brackets", [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("path", ["/teams", "/audit", "/auth/login"])
async def test_a_hundred_thousand_levels_of_json_are_refused(
    app: Wrapped, owner: Person, path: str, brackets: tuple[str, str]
) -> None:
    opened, closed = brackets
    bomb = (opened * 100_000 + "1" + closed * 100_000).encode()[:900_000]
    async with program(app, owner) as http:
        answer = await http.post(API + path, content=bomb, headers=JSON)
        refused(answer, 422)
        assert answer.json()["code"] == "body-too-deep"
        quoted = json.dumps({"action": "a.b", "details": {"text": opened * 1000}})
        assert (await http.post(f"{API}/audit", content=quoted, headers=JSON)).status_code == 201


@pytest.mark.feature("NET-03")
@pytest.mark.parametrize(
    "body",
    [
        b'{"name": "\xff\xfe"}',
        b'{"name": "\xed\xa0\x80"}',
        b'{"name": "a\x00b"}',
        rb'{"name": "a\u0000b"}',
        rb'{"name": "\ud800"}',
        rb'{"name": "ok", "description": "\udc00\ud800"}',
        b'{"name": ',
        b'{"name": "x"} trailing',
        b'{"name": NaN}',
        b'{"name": 1e999}',
        b'{"name": ' + b"9" * 5000 + b"}",
        b"",
        b"null",
        b'"text"',
        b"[]",
    ],
)
async def test_a_body_that_is_no_good_json_is_refused(app: Wrapped, owner: Person, body: bytes) -> None:
    async with program(app, owner) as http:
        refused(await http.post(f"{API}/teams", content=body, headers=JSON), 400, 422)


@pytest.mark.feature("NET-03")
@pytest.mark.parametrize("value", ["\\u0000", "\\ud800", "x\\udfffy"])
async def test_what_cannot_be_stored_is_refused_wherever_it_hides(
    app: Wrapped, owner: Person, value: str
) -> None:
    bodies = {
        "/audit": '{"action": "a.b", "details": {"deep": ["%s"]}}',
        "/audit ": '{"action": "a.b", "details": {"%s": 1}}',
        "/secrets": '{"name": "n", "value": "%s"}',
        "/auth/login": '{"login": "%s", "password": "x"}',
        "/jobs/schedules": '{"name": "n", "kind": "export.run", "every": 60, "payload": {"a": "%s"}}',
        "/orgs": '{"name": "%s"}',
    }
    async with program(app, owner) as http:
        for path, body in bodies.items():
            refused(await http.post(API + path.strip(), content=body % value, headers=JSON), 422)
        refused(
            await http.put(f"{API}/preferences/theme.color", content=f'{{"value": "{value}"}}', headers=JSON),
            422,
        )


@pytest.mark.feature("NET-03")
async def test_a_nul_in_an_address_is_refused_and_the_record_goes_on(app: Wrapped, owner: Person) -> None:
    async with program(app, owner) as http:
        for path in (
            "/teams%00",
            "/teams/%00",
            "/audit?user=a%00b",
            "/events?type=%00",
            "/rbac/who-can?permission=%00",
        ):
            url = httpx.URL("http://app.test", raw_path=(API + path).encode())
            for method in ("GET", "POST", "DELETE"):
                refused(await http.request(method, url), 404, 405, 422)
        url = httpx.URL("http://app.test", raw_path=b"/somewhere%00else")
        assert (await http.post(url)).status_code == 404
        form = {"content-type": "application/x-www-form-urlencoded"}
        body = "grant_type=password&username=a%00b&password=x"
        refused(await http.post(f"{API}/auth/login", content=body, headers=form), 422)


@pytest.mark.feature("NET-03")
@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/xml",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "image/png",
        "",
        "json",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "a/b" * 500,
    ],
)
async def test_another_content_type_is_not_taken_for_json(app: Wrapped, owner: Person, kind: str) -> None:
    async with program(app, owner) as http:
        made = await http.post(f"{API}/teams", content=b'{"name": "x"}', headers={"content-type": kind})
        if kind.startswith("application/json"):
            assert made.status_code == 201
        else:
            refused(made, 400, 415, 422)
        refused(
            await http.post(f"{API}/auth/login", content=b"\x00\xff", headers={"content-type": kind}),
            400,
            401,
            422,
        )


@pytest.mark.feature("NET-03")
async def test_the_last_of_two_equal_keys_cannot_smuggle_anything(app: Wrapped, owner: Person) -> None:
    async with program(app, owner) as http:
        twice = b'{"name": "first", "name": "second", "org_id": null}'
        refused(await http.post(f"{API}/teams", content=twice, headers=JSON), 422)
        both = await http.post(f"{API}/teams", content=b'{"name": "first", "name": "second"}', headers=JSON)
        assert both.json()["name"] in {"first", "second"}
        again = await http.get(f"{API}/teams", params=[("limit", "1"), ("limit", "100000")])
        assert again.status_code in {200, 422}


@pytest.mark.feature("NET-03")
async def test_bodies_and_headers_beyond_their_limits_are_refused(app: Wrapped, owner: Person) -> None:
    async def drip() -> Any:
        for _ in range(64):
            yield b" " * 65_536

    limit = app.bz.settings.guard.max_api_body
    async with program(app, owner) as http:
        refused(await http.post(f"{API}/teams", content=b" " * (limit + 1), headers=JSON), 413)
        refused(await http.post(f"{API}/teams", content=drip(), headers=JSON), 413)
        refused(await http.get(f"{API}/teams", headers={"x-long": "y" * 70_000}), 431)
        refused(await http.get(f"{API}/teams", headers={f"x-{n}": "y" * 500 for n in range(150)}), 431)
        for length in ("-1", "1e3", "٣", "9" * 30, "0x10", "+1"):
            headers = [(b"content-length", length.encode()), (b"content-type", b"application/json")]
            refused(await http.post(f"{API}/teams", content=b"{}", headers=headers), 400, 413)


@pytest.mark.feature("CORE-02")
async def test_no_header_says_who_asks_or_what_is_asked(app: Wrapped, owner: Person) -> None:
    forged = {
        "x-user-id": owner.id,
        "x-forwarded-user": owner.email,
        "remote-user": owner.email,
        "x-org": owner.org_id,
        "x-bartizan-user": owner.id,
        "x-original-url": "/health/live",
        "x-rewrite-url": "/health/live",
        "x-forwarded-prefix": "/health",
        "x-forwarded-host": "app.test",
        "authorization": f"Basic {owner.token}",
        "cookie": f"session={owner.token}",
    }
    async with anyone(app, **forged) as http:
        for path in ("/teams", "/audit", "/auth/me", "/identity/users"):
            refused(await http.get(API + path), 401)
    override = {
        "x-http-method-override": "DELETE",
        "x-http-method": "DELETE",
        "x-method-override": "DELETE",
    }
    async with program(app, owner, **override) as http:
        team = (await http.get(f"{API}/teams")).json()["items"][0]["id"]
        assert (await http.get(f"{API}/teams/{team}", params={"_method": "DELETE"})).status_code == 200
        refused(await http.post(f"{API}/teams/{team}"), 405)
        assert (await http.get(f"{API}/teams/{team}")).status_code == 200
    async with browser(app, owner, **override) as http:
        assert (await http.get(f"{API}/teams/{team}")).status_code == 200


@pytest.mark.feature("CORE-02")
async def test_no_spelling_of_a_path_leads_around_the_gate(app: Wrapped) -> None:
    paths = (
        "/_bartizan/api/v1/teams/",
        "/_bartizan/api/v1//teams",
        "/_bartizan//api/v1/teams",
        "//_bartizan/api/v1/teams",
        "/_bartizan/health/../api/v1/teams",
        "/_bartizan/health/%2e%2e/api/v1/teams",
        "/_bartizan/api/v1/%74eams",
        "/_bartizan/api%2Fv1%2Fteams",
        "/_BARTIZAN/api/v1/teams",
        "/_bartizan/api/v1/teams;/health",
        "/_bartizan/api/V1/teams",
        "/_bartizan/api/v1/teams%20",
        "/_bartizan/api/v1/teams%0a",
        "/_bartizan/.well-known/../api/v1/teams",
        "/_bartizan/metrics/../api/v1/teams",
        "/_bartizan/api/v1/teams?/health/live",
        "/_bartizan/api/v1/auth/login/../../teams",
        "/_bartizan/api/v1/teams%ff",
        "/_bartizan/api/v1/teams%c0%af",
    )
    async with anyone(app) as http:
        for path in paths:
            url = httpx.URL("http://app.test", raw_path=path.encode())
            answer = await http.get(url)
            assert answer.status_code in {307, 401, 404, 405}, (path, answer.status_code, answer.text[:200])
            assert "items" not in answer.text
        for method in ("TRACE", "CONNECT", "PROPFIND", "get", "X" * 300):
            answer = await http.request(method, f"{API}/teams")
            assert answer.status_code in {401, 404, 405, 501}, (method, answer.status_code)


async def talk(url: str, sent: bytes) -> bytes:
    """Send bytes as they are, and read all that comes back."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(sent)
    await writer.drain()
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


@pytest.mark.feature("NET-03")
async def test_a_request_that_ends_in_two_places_is_refused(app: Wrapped) -> None:
    start = (
        f"POST {API}/auth/login HTTP/1.1\r\nHost: app\r\nConnection: close\r\n"
        "Content-Type: application/json\r\n"
    )
    odd = (
        "Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}",
        "Content-Length: 2, 40\r\n\r\n{}",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "Content-Length: +2\r\n\r\n{}",
        "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        "Bad Header\r\n\r\n",
        "X-Nul: a\0b\r\n\r\n",
    )
    async with served(app) as url:
        for rest in odd:
            answer = await talk(url, (start + rest).encode("latin-1"))
            assert answer.count(b"HTTP/1.1 ") <= 1, "one request was taken for two"
            status = int(answer.split(b" ", 2)[1]) if answer else 400
            assert 400 <= status < 500, (rest, answer[:200])
        alive = await talk(
            url, b"GET /_bartizan/health/live HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n"
        )
        assert b" 200 " in alive.split(b"\r\n")[0]
