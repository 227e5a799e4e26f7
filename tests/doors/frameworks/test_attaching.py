"""One line on an application that was there before: what changes, and what must not."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

import bartizan
from bartizan import current
from bartizan.doors.frameworks import wrap
from bartizan.doors.testing import Cast, Person, anyone, program
from bartizan.house import Bartizan
from tests.doors.served import served
from tests.harness.processes import free_port

API = "/_bartizan/api/v1"


def shop() -> FastAPI:
    """An application of somebody else's."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        app.state.opened = getattr(app.state, "opened", 0) + 1
        yield {"drawer": "open"}
        app.state.closed = True

    app = FastAPI(lifespan=lifespan, title="Shop")

    @app.get("/things")
    async def things(request: Request) -> dict[str, Any]:
        return {
            "drawer": getattr(request.state, "drawer", None),
            "caller": current.user_id,
            "org": current.org_id,
        }

    @app.post("/things", status_code=201)
    async def make() -> dict[str, str]:
        return {"made": current.user_id}

    app.mount("/inner", Starlette(routes=[Route("/deep", _deep)]))
    return app


async def _deep(_request: Request) -> Response:
    return JSONResponse({"caller": current.user_id})


async def member_of(bz: Bartizan, role: str = "member") -> Person:
    cast = Cast(bz)
    return await cast.person(await cast.organization(), role)


@pytest.fixture
async def attached(bartizan_settings: dict[str, Any]) -> AsyncGenerator[tuple[FastAPI, Bartizan]]:
    app = shop()
    bz = bartizan.attach(app, bartizan_settings)
    await bz.start(embedded=False)
    yield app, bz
    await bz.stop()


@pytest.mark.feature("CORE-01", "CORE-12")
def test_attaching_changes_no_route_and_happens_once(bartizan_settings: dict[str, Any]) -> None:
    app, plain = shop(), shop()
    bz = bartizan.attach(app, bartizan_settings)
    assert bartizan.attach(app) is bz
    assert [getattr(r, "path", r) for r in app.routes] == [getattr(r, "path", r) for r in plain.routes]
    assert app.user_middleware == plain.user_middleware
    assert app.openapi() == plain.openapi()


@pytest.mark.feature("CORE-02", "FWK-01")
async def test_every_route_and_every_mounted_app_gains_people(attached: tuple[FastAPI, Bartizan]) -> None:
    app, bz = attached
    member, viewer = await member_of(bz), await member_of(bz, "viewer")
    async with anyone(app) as http:
        for path in ("/things", "/inner/deep", "/nowhere"):
            assert (await http.get(path)).status_code == 401
    async with program(app, member) as http:
        assert (await http.get("/things")).json()["caller"] == member.id
        assert (await http.get("/inner/deep")).json() == {"caller": member.id}
        assert (await http.post("/things")).json() == {"made": member.id}
        assert (await http.get("/nowhere")).status_code == 404
        assert (await http.get(f"{API}/auth/me")).status_code == 200
    async with program(app, viewer) as http:
        assert (await http.post("/things")).status_code == 403


@pytest.mark.feature("CORE-01")
async def test_an_app_that_has_served_already_is_refused_in_words(bartizan_settings: dict[str, Any]) -> None:
    app = shop()
    async with anyone(app) as http:
        await http.get("/nowhere")
    with pytest.raises(RuntimeError, match="before the application serves its first request"):
        bartizan.attach(app, bartizan_settings)


@pytest.mark.feature("CORE-12")
def test_wrapping_what_is_wrapped_gives_the_same_gate(bartizan_settings: dict[str, Any]) -> None:
    gate = wrap(shop(), bartizan_settings)
    assert wrap(gate) is gate


@pytest.mark.feature("FWK-01")
@pytest.mark.parametrize("how", ["attached", "wrapped"])
async def test_the_lifespan_and_its_state_are_the_apps_own(
    bartizan_settings: dict[str, Any], how: str
) -> None:
    app = shop()
    front: Any = app
    if how == "attached":
        bz = bartizan.attach(app, bartizan_settings)
    else:
        front = wrap(app, bartizan_settings)
        bz = front.bz
    async with served(front) as url:
        member = await member_of(bz)
        bearer = {"authorization": f"Bearer {member.access_token}"}
        async with httpx.AsyncClient(base_url=url, headers=bearer) as http:
            assert (await http.get("/things")).json()["drawer"] == "open"
    assert app.state.opened == 1
    assert app.state.closed
    assert not bz.started


@pytest.mark.feature("FWK-01", "CORE-15")
async def test_an_app_that_cannot_start_ends_the_server(bartizan_settings: dict[str, Any]) -> None:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        message = "the shop is on fire"
        raise RuntimeError(message)
        yield

    app = wrap(Starlette(lifespan=lifespan), bartizan_settings)
    server = uvicorn.Server(uvicorn.Config(app, port=free_port(), log_config=None, lifespan="on"))
    with suppress(SystemExit):
        await server.serve()
    assert not server.started
    assert not app.bz.started


@pytest.mark.feature("FWK-01")
async def test_an_app_that_knows_no_lifespan_is_served_all_the_same(
    bartizan_settings: dict[str, Any],
) -> None:
    async def django(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            message = f"Django can only handle ASGI/HTTP connections, not {scope['type']}."
            raise ValueError(message)
        await JSONResponse({"caller": current.user_id})(scope, receive, send)

    app = wrap(django, bartizan_settings)
    async with served(app) as url:
        member = await member_of(app.bz)
        bearer = {"authorization": f"Bearer {member.access_token}"}
        async with httpx.AsyncClient(base_url=url) as http:
            assert (await http.get("/")).status_code == 401
            assert (await http.get("/", headers=bearer)).json() == {"caller": member.id}


@pytest.mark.feature("CORE-14")
async def test_without_authentication_everybody_is_the_development_user(
    bartizan_settings: dict[str, Any],
) -> None:
    app = shop()
    bz = bartizan.attach(app, {**bartizan_settings, "enable_auth": False})
    await bz.start(embedded=False)
    async with anyone(app) as http:
        told = (await http.get("/things")).json()
        me = (await http.get(f"{API}/auth/me")).json()
        assert told["caller"] == me["user"]["id"]
        assert me["user"]["email"] == "developer@bartizan.invalid"
        assert (await http.post("/things")).status_code == 201
        members = (await http.get(f"{API}/members")).json()["items"]
        assert [(m["user_id"], m["roles"]) for m in members] == [(told["caller"], ["owner"])]
        key = await http.post(f"{API}/api-keys", json={"name": "mine", "scopes": ["app:read"]})
        assert key.status_code == 201, key.text
        page = await http.get("/_bartizan/account", headers={"accept": "text/html"})
        assert page.status_code == 200
        assert "developer@bartizan.invalid" in page.text
        rows = (await http.get(f"{API}/audit")).json()["items"]
        assert told["caller"] in {row["actor"]["id"] for row in rows}
    async with anyone(app, cookie="bartizan=left-over-from-yesterday") as http:
        assert (await http.get("/things")).json()["caller"] == told["caller"]
    await bz.stop()
    again = Bartizan({**bartizan_settings, "enable_auth": False})
    await again.start(embedded=False)
    assert again.stand_in is not None
    assert again.stand_in.id == told["caller"], "there is one development user, however often it starts"
    await again.stop()


@pytest.mark.feature("CORE-14", "CORE-13")
def test_production_does_not_go_without_authentication(bartizan_settings: dict[str, Any]) -> None:
    unsafe = {**bartizan_settings, "enable_auth": False, "environment": "production"}
    with pytest.raises(bartizan.Fault, match="BARTIZAN_ENABLE_AUTH"):
        Bartizan(unsafe)
