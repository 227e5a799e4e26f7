"""Ways around the policy of the routes: spellings of paths and methods that an app may read otherwise."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Match, Route

import bartizan
from bartizan.access.rbac import Rbac
from bartizan.backbone.events import Events
from bartizan.doors.guard.policy import NOBODY, NOTHING, Policy, PolicyFile
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.database import Database

FILE = """
[permissions]
"admin:use" = "Use the admin pages"

[routes]
"GET /open" = "public"
"* /static/*" = "public"
"POST /search" = "app:read"
"GET /admin/help" = "public"
"* /admin/*" = "admin:use"
"GET /Reports/{id}" = "admin:use"
"* /internal" = "deny"
"""
ODD = (
    "/admin/users/", "//admin/users", "/admin//users", "/./admin/users", "/x/../admin/users",
    "/admin/./users", "/admin/users/..", "/ADMIN/users", "/Admin/Users", "/admin\\users", "\\admin\\users",
    "/admin/users;x=1", "/admin;x=1/users", "/admin%2fusers", "/%61dmin/users", "/%2561dmin/users",
    "/x/%2e%2e/admin/users", "/admin/users\x00", "/adm\x00in/users", "/admin/users\n", "/admin /users",
    "/\uff41dmin/users", "/admin/x/../help", "/admin/help/../users", "/admin", "/admin/", "//admin//",
)  # fmt: skip


@pytest.fixture
async def policy(tmp_path: Path) -> AsyncGenerator[Policy]:
    path = tmp_path / "policy.toml"
    path.write_text(FILE)
    file = PolicyFile.read(path)
    database, clock = Database("sqlite://"), ManualClock()
    rbac = Rbac(database, Events(database, clock=clock), clock=clock)
    file.declare(rbac)
    yield Policy(["/ping", "/assets/*"], ["POST /runs/search"], file=file, rbac=rbac)
    await database.close()


@pytest.mark.parametrize("path", ODD)
@pytest.mark.parametrize("method", ["GET", "POST", "get", "BREW", "OPTIONS", "HEAD"])
def test_an_odd_spelling_never_reaches_what_is_closed(policy: Policy, method: str, path: str) -> None:
    assert policy.need(method, path) in {"admin:use", NOBODY}


@pytest.mark.parametrize(
    "path",
    ["/open/", "//open", "/./open", "/OPEN", "/open;x", "/open%00", "/open\n", "\\open", "/x/../open",
     "/static/../admin/users", "/static//x", "/static/..", "/static/%2e%2e/x", "/static\\x", "/STATIC/x",
     "/ping/", "/PING", "//ping", "/assets/../x", "/assets/%2e%2e/x", "/static", "/assets"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "BREW", "get"])
def test_an_odd_spelling_never_opens_anything(policy: Policy, method: str, path: str) -> None:
    assert policy.need(method, path) in {"app:read" if method == "GET" else "app:write", "admin:use", NOBODY}


@pytest.mark.parametrize("path", ["/search/", "//search", "/SEARCH", "/runs/search/", "/runs/./search"])
def test_an_odd_spelling_of_what_only_reads_is_a_change(policy: Policy, path: str) -> None:
    assert policy.need("POST", path) == "app:write"
    assert policy.need("POST", "/search") == policy.need("POST", "/runs/search") == "app:read"


@pytest.mark.parametrize("method", ["post", "POST ", "Post", "PUT", "BREW", ""])
def test_a_method_that_is_not_the_rules_own_gains_nothing(policy: Policy, method: str) -> None:
    assert policy.need(method, "/search") == "app:write"
    assert policy.need(method, "/open") == "app:write"


def test_a_rule_with_capitals_holds_in_any_case(policy: Policy) -> None:
    assert policy.need("GET", "/Reports/7") == "admin:use"
    assert policy.need("GET", "/reports/7") == NOBODY
    assert policy.need("GET", "/REPORTS/7/") == NOBODY


def test_what_is_closed_stays_closed_to_every_method(policy: Policy) -> None:
    for method in ("GET", "HEAD", "POST", "OPTIONS", "TRACE", "BREW", "WEBSOCKET"):
        assert policy.need(method, "/internal") == policy.need(method, "/internal/") == NOBODY


@given(
    path=some.text(some.sampled_from("/.%25eEfF\\;aAdDmMiInNxX\n\x00 openstatic"), max_size=30),
    method=some.sampled_from(["GET", "POST", "DELETE", "HEAD", "get", "BREW"]),
)
def test_whatever_is_asked_only_what_was_opened_is_open(policy: Policy, method: str, path: str) -> None:
    path = f"/{path}"
    need = policy.need(method, path)
    if need == NOTHING:
        plain = "//" not in path and "\\" not in path and not {".", ".."} & set(path.split("/"))
        assert plain
        assert path in {"/open", "/ping", "/admin/help"} or path.startswith(("/static/", "/assets/"))
    if need == "app:read":
        assert method in {"GET", "HEAD"} or (method, path) in {("POST", "/search"), ("POST", "/runs/search")}


@given(path=some.text(some.sampled_from("/abin7.-\n %{}"), max_size=12))
def test_a_decorator_decides_exactly_where_the_host_would_call_its_endpoint(path: str) -> None:
    path = f"/{path}"
    routes = [
        Route("/a", _endpoint("a:read")),
        Route("/a/{b}", _endpoint("b:read")),
        Route("/i/{n:int}", _endpoint("n:read")),
        Route("/a/b/{rest:path}", _endpoint("rest:read")),
        Route("/{x}-{y}", _endpoint("pair:read")),
        Route("/b/", _endpoint("slash:read")),
    ]
    scope = {"type": "http", "path": path, "method": "GET", "root_path": "", "headers": []}
    met = next((route for route in routes if route.matches(dict(scope))[0] == Match.FULL), None)
    wanted = {route.path: name for route, name in zip(routes, NAMES, strict=True)}
    need = Policy(host=Starlette(routes=routes)).need("GET", path)
    assert need == (wanted[met.path] if met else "app:read")


NAMES = ("a:read", "b:read", "n:read", "rest:read", "pair:read", "slash:read")


def _endpoint(need: str) -> Callable[[Request], Awaitable[Response]]:
    async def said(_request: Request) -> Response:
        return PlainTextResponse(need)

    return bartizan.requires(need)(said)


def test_a_line_break_at_the_end_of_a_path_does_not_lose_the_decorator() -> None:
    policy = Policy(host=Starlette(routes=[Route("/a", _endpoint("a:read"))]))
    assert policy.need("GET", "/a\n") == "a:read"


@pytest.mark.parametrize(
    "path", ["/files/../x", "/files//x", "/files/%2e%2e/x", "/files/a\\b", "/files/\x00"]
)
def test_an_endpoint_that_is_open_is_not_open_under_an_odd_path(path: str) -> None:
    routes = [Route("/files/{path:path}", bartizan.public(_open()))]
    policy = Policy(host=Starlette(routes=routes))
    assert policy.need("GET", "/files/x/y") == NOTHING
    assert policy.need("GET", path) == "app:read"


def _open() -> Callable[[Request], Awaitable[Response]]:
    async def said(_request: Request) -> Response:
        return PlainTextResponse("said")

    return said
