"""Attaching or wrapping twice is doing it once; not doing it at all changes nothing."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

import bartizan
from bartizan import current
from bartizan.doors.frameworks import Wrapped, wrap
from bartizan.doors.testing import Cast, anyone, program

HOST = """
import asyncio, hashlib, json, sys
import httpx
from fastapi import FastAPI, HTTPException, Request, UploadFile
from fastapi.responses import RedirectResponse, StreamingResponse

if sys.argv[1] == "without":
    def requires(*_args, **_options): return lambda endpoint: endpoint
    def public(endpoint): return endpoint
else:
    import bartizan
    from bartizan import public, requires

app = FastAPI(title="Shop")

@app.get("/things/{number}")
@requires("thing:read", "See things")
async def thing(number: int, request: Request):
    return {"number": number, "user": request.headers.get("x-user-id")}

@app.get("/prices")
@public
def prices():
    return [1, 2, 3]

@app.post("/things", status_code=201)
async def make(request: Request):
    return {"got": (await request.body()).decode()}

@app.get("/stream")
async def stream():
    return StreamingResponse((f"{n}" for n in range(3)), media_type="text/plain")

@app.get("/gone")
async def gone():
    raise HTTPException(410, "gone for good")

@app.get("/away")
async def away():
    return RedirectResponse("/prices")

async def ask():
    transport = httpx.ASGITransport(app)
    told = []
    async with httpx.AsyncClient(transport=transport, base_url="http://app.test") as http:
        for method, path, more in (
            ("GET", "/things/7", {"headers": {"x-user-id": "root"}}),
            ("GET", "/things/seven", {}), ("GET", "/prices", {}),
            ("HEAD", "/prices", {}), ("POST", "/things", {"content": "x"}),
            ("GET", "/stream", {}), ("GET", "/gone", {}), ("GET", "/away", {}), ("GET", "/none", {}),
            ("GET", "/openapi.json", {}), ("GET", "/docs", {}), ("OPTIONS", "/prices", {}),
            ("GET", "/prices/", {}),
        ):
            answer = await http.request(method, path, **more)
            headers = answer.headers.multi_items()
            told.append([method, path, answer.status_code, headers, answer.content.hex()])
    print(json.dumps(told))

asyncio.run(ask())
"""


@pytest.mark.feature("CORE-11")
def test_an_app_with_our_decorators_and_no_gate_answers_byte_for_byte_as_without_us(tmp_path: Path) -> None:
    (tmp_path / "host.py").write_text(HOST)

    def recorded(how: str) -> Any:
        command = [sys.executable, "host.py", how]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    without, beside = recorded("without"), recorded("beside")
    assert len(without) == 13
    assert beside == without
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["host.py"]


@pytest.mark.feature("CORE-11")
def test_importing_us_loads_nothing_and_leaves_nothing_behind(tmp_path: Path) -> None:
    code = "import bartizan, sys; print([name for name in sys.modules if name.startswith('bartizan.')])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    assert list(tmp_path.iterdir()) == []


def shop() -> FastAPI:
    app = FastAPI()

    @app.post("/things")
    async def make() -> dict[str, str]:
        return {"made": current.user_id}

    return app


async def works_once(app: ASGIApp, bz: bartizan.Bartizan) -> None:
    """See that one gate stands there: people get in, and a change is on record once."""
    await bz.start(embedded=False)
    try:
        cast = Cast(bz)
        org = await cast.organization()
        member, owner = await cast.person(org), await cast.person(org, "owner")
        async with anyone(app) as http:
            assert (await http.post("/things")).status_code == 401
        async with program(app, member) as http:
            made = await http.post("/things")
            assert made.json() == {"made": member.id}
            assert len(made.headers.get_list("x-request-id")) == 1
        async with program(app, owner) as http:
            found = (await http.get("/_bartizan/api/v1/audit")).json()["items"]
            assert [row["path"] for row in found].count("/things") == 1
    finally:
        await bz.stop()


@pytest.mark.feature("CORE-12")
async def test_attaching_twice_is_attaching_once(bartizan_settings: dict[str, Any]) -> None:
    app = shop()
    bz = bartizan.attach(app, bartizan_settings)
    assert bartizan.attach(app) is bz
    await works_once(app, bz)


@pytest.mark.feature("CORE-12")
async def test_wrapping_twice_is_wrapping_once(bartizan_settings: dict[str, Any]) -> None:
    gate = wrap(shop(), bartizan_settings)
    assert wrap(gate) is gate
    await works_once(gate, gate.bz)


@pytest.mark.feature("CORE-12")
async def test_wrapping_what_was_attached_to_moves_its_gate_outside(
    bartizan_settings: dict[str, Any],
) -> None:
    app = shop()
    bz = bartizan.attach(app, bartizan_settings)
    gate = wrap(app)
    assert gate.bz is bz
    assert bartizan.attach(app) is bz
    await works_once(gate, bz)


@pytest.mark.feature("CORE-12")
async def test_attaching_to_what_was_wrapped_gives_its_house(bartizan_settings: dict[str, Any]) -> None:
    app = shop()
    gate = wrap(app, bartizan_settings)
    assert bartizan.attach(app) is gate.bz
    assert wrap(app).bz is gate.bz
    await works_once(gate, gate.bz)


@pytest.mark.feature("CORE-12")
async def test_a_gate_further_inside_is_refused(bartizan_settings: dict[str, Any]) -> None:
    class Around:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await self.app(scope, receive, send)

    gate = wrap(shop(), bartizan_settings)
    with pytest.raises(RuntimeError, match="a gate inside already"):
        wrap(Around(Around(gate)))
    await gate.bz.stop()


async def test_what_has_served_already_cannot_change_gates(bartizan_settings: dict[str, Any]) -> None:
    app = shop()
    bz = bartizan.attach(app, bartizan_settings)
    await bz.start(embedded=False)
    async with anyone(app) as http:
        assert (await http.post("/things")).status_code == 401
    with pytest.raises(RuntimeError, match="before it serves its first request"):
        wrap(app)
    await bz.stop()


@pytest.mark.feature("CORE-12")
async def test_the_gate_is_outside_of_every_middleware_whichever_came_first(
    bartizan_settings: dict[str, Any],
) -> None:
    seen: list[str] = []

    class Sees:
        def __init__(self, app: ASGIApp, name: str) -> None:
            self.app, self.name = app, name

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            seen.append(self.name)
            await self.app(scope, receive, send)

    app = Starlette(middleware=[Middleware(Sees, "first")])
    app.router.add_route("/x", cast("Any", PlainTextResponse("x")))
    bz = bartizan.attach(app, bartizan_settings)
    app.add_middleware(Sees, "later")
    await bz.start(embedded=False)
    async with anyone(app) as http:
        assert (await http.get("/x")).status_code == 401
    assert seen == []
    assert isinstance(app.middleware_stack, Wrapped)
    await bz.stop()
