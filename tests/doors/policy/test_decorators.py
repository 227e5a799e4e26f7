"""``@bartizan.requires`` and ``@bartizan.public``: found on every endpoint, wherever it is mounted."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Host, Mount, Route, WebSocketRoute

import bartizan
from bartizan.access.rbac import Rbac
from bartizan.doors.frameworks import wrap
from bartizan.doors.guard.policy import SOCKET, InvalidPolicy, Policy, survey
from bartizan.doors.testing import Cast, anyone, program


def view() -> Callable[[Request], Awaitable[Response]]:
    """Make an endpoint that nobody has said anything about."""

    async def said(_request: Request) -> Response:
        return PlainTextResponse("said")

    return said


def invoices() -> FastAPI:
    """An application with endpoints of every kind, some of which say what they need."""
    app = FastAPI()
    inner = APIRouter(prefix="/inner")
    outer = APIRouter(prefix="/outer")

    @app.get("/invoices/{number:int}")
    @bartizan.requires("invoice:read", "See invoices", roles=["member"])
    async def one(number: int) -> int:
        return number

    @app.get("/invoices/{name}")
    async def by_name(name: str) -> str:
        return name

    @bartizan.requires("invoice:void")
    @app.post("/invoices/{number}/void")
    def void(number: int) -> int:
        return number

    @app.get("/prices")
    @bartizan.public
    async def prices() -> str:
        return "prices"

    @inner.delete("/{thing}")
    @bartizan.requires("thing:delete")
    async def gone(thing: str) -> str:
        return thing

    @app.websocket("/live")
    @bartizan.requires("invoice:watch")
    async def live(socket: WebSocket) -> None:
        await socket.close()

    outer.include_router(inner)
    app.include_router(outer, prefix="/api")
    sub = FastAPI()

    @sub.get("/deep/{path:path}")
    @bartizan.requires("deep:read")
    async def deep(path: str) -> str:
        return path

    app.mount("/sub", sub)
    return app


@pytest.mark.feature("AZ-03")
def test_a_decorator_is_found_on_routes_included_mounted_and_typed(rbac: Rbac) -> None:
    policy = Policy(host=invoices(), rbac=rbac)
    assert policy.need("GET", "/invoices/7") == "invoice:read"
    assert policy.need("GET", "/invoices/seven") == "app:read"
    assert policy.need("POST", "/invoices/7/void") == "invoice:void"
    assert policy.need("GET", "/prices") == "nothing"
    assert policy.need("DELETE", "/api/outer/inner/x") == "thing:delete"
    assert policy.need("GET", "/sub/deep/a/b/c") == "deep:read"
    assert policy.need(SOCKET, "/live") == "invoice:watch"
    assert policy.need("GET", "/live") == "app:read"
    assert policy.need("POST", "/prices") == "app:write"
    assert policy.need("DELETE", "/anything/else") == "app:write"


def test_the_permissions_of_decorators_are_declared_with_their_roles(rbac: Rbac) -> None:
    Policy(host=invoices(), rbac=rbac).learn()
    assert {"invoice:read", "invoice:void", "thing:delete", "deep:read"} <= rbac.names()


def test_another_spelling_asks_for_the_declared_permission(rbac: Rbac) -> None:
    rbac.declare(bartizan.Permission("invoice:read", "See invoices"))
    app = Starlette(routes=[Route("/x", bartizan.requires("Invoices.read")(view()))])
    assert Policy(host=app, rbac=rbac).need("GET", "/x") == "invoice:read"


def test_the_route_that_the_host_would_choose_counts_even_if_a_later_one_is_open() -> None:
    routes = [
        Route("/{name}", bartizan.requires("name:read")(view())),
        Route("/me", bartizan.public(view())),
    ]
    assert Policy(host=Starlette(routes=routes)).need("GET", "/me") == "name:read"
    assert Policy(host=Starlette(routes=routes[::-1])).need("GET", "/me") == "nothing"


def test_what_is_mounted_hides_what_comes_after_it() -> None:
    routes = [Mount("/files", PlainTextResponse("files")), Route("/files/open", bartizan.public(view()))]
    assert Policy(host=Starlette(routes=routes)).need("GET", "/files/open") == "app:read"


def test_classes_say_it_for_all_their_methods_or_for_one() -> None:
    @bartizan.requires("box:read")
    class Box(HTTPEndpoint):
        async def get(self, request: Request) -> Response:
            return PlainTextResponse("box")

        @bartizan.requires("box:write")
        async def put(self, request: Request) -> Response:
            return PlainTextResponse("box")

    class Derived(Box):
        async def get(self, request: Request) -> Response:
            return PlainTextResponse("derived")

    policy = Policy(host=Starlette(routes=[Route("/box", Box), Route("/derived", Derived)]))
    assert policy.need("GET", "/box") == "box:read"
    assert policy.need("HEAD", "/box") == "box:read"
    assert policy.need("PUT", "/box") == "box:write"
    assert policy.need("BREW", "/box") == "box:read"
    assert policy.need("GET", "/derived") == "app:read"
    assert policy.need("PUT", "/derived") == "box:write"


def test_partials_and_functions_that_were_wrapped_keep_what_was_said() -> None:
    marked = bartizan.requires("box:read")(view())

    @functools.wraps(marked)
    async def wrapped(request: Request) -> Response:
        return await marked(request)

    app = Starlette(routes=[Route("/a", functools.partial(marked)), Route("/b", wrapped)])
    policy = Policy(host=app)
    assert policy.need("GET", "/a") == policy.need("GET", "/b") == "box:read"


def test_an_endpoint_with_two_needs_is_refused() -> None:
    with pytest.raises(ValueError, match="two needs, public and box:read"):
        bartizan.requires("box:read")(bartizan.public(lambda: None))
    with pytest.raises(TypeError, match=r"roles=\['member'\]"):
        bartizan.requires("box:read", roles="member")


def test_what_the_path_alone_cannot_tell_stops_start_up() -> None:
    app = Starlette(
        routes=[Host("api.example.com", Starlette(routes=[Route("/x", bartizan.public(view()))]))]
    )
    with pytest.raises(InvalidPolicy, match="GET,HEAD /x: the gate cannot enforce a decorator here"):
        Policy(host=app).check()


def test_a_role_that_is_not_built_in_stops_start_up(rbac: Rbac) -> None:
    app = Starlette(routes=[Route("/x", bartizan.requires("x:read", roles=["membr"])(view()))])
    with pytest.raises(InvalidPolicy, match="Did you mean 'member'"):
        Policy(host=app, rbac=rbac).check()


def test_a_permission_without_a_verb_stops_start_up(rbac: Rbac) -> None:
    app = Starlette(routes=[Route("/x", bartizan.requires("Invoices")(view()))])
    with pytest.raises(InvalidPolicy, match="resource:verb"):
        Policy(host=app, rbac=rbac).check()


def test_routes_that_the_app_adds_while_it_starts_are_found_at_the_first_request() -> None:
    app = Starlette()
    policy = Policy(host=app)
    policy.check()
    app.router.routes.append(WebSocketRoute("/late", bartizan.requires("late:read")(_socket)))
    assert policy.need(SOCKET, "/late") == "late:read"


async def _socket(socket: Any) -> None:
    await socket.close()


def test_an_app_of_a_kind_that_we_do_not_know_has_no_routes() -> None:
    assert survey(object()) == []


def test_an_app_inside_of_others_is_found() -> None:
    class Around:
        def __init__(self, app: object) -> None:
            self.app = app

    assert [route.template for route in survey(Around(Around(Starlette(routes=[Route("/x", view())]))))] == [
        "/x"
    ]


@pytest.mark.feature("CORE-02", "AZ-02", "AZ-03")
async def test_the_gate_asks_for_what_the_endpoint_says(bartizan_settings: dict[str, Any]) -> None:
    app = wrap(invoices(), bartizan_settings)
    await app.bz.start(embedded=False)
    try:
        cast = Cast(app.bz)
        org = await cast.organization()
        member, owner = await cast.person(org, "member"), await cast.person(org, "owner")
        async with anyone(app) as http:
            assert (await http.get("/prices")).text == '"prices"'
            assert (await http.get("/invoices/7")).status_code == 401
        async with program(app, member) as http:
            assert (await http.get("/invoices/7")).json() == 7
            refused = await http.post("/invoices/7/void")
            assert refused.status_code == 403
            assert refused.json()["permission"] == "invoice:void"
        async with program(app, owner) as http:
            assert (await http.post("/invoices/7/void")).json() == 7
    finally:
        await app.bz.stop()
