"""``bartizan policy init`` and ``bartizan policy check``: draft a file, see what it leaves out."""

import asyncio
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fastapi import FastAPI

from bartizan.doors.cli.main import bartizan as command
from bartizan.doors.cli.policy import policy
from bartizan.doors.frameworks import wrap
from bartizan.doors.testing import Cast, program
from tests.doors.hosts import echo
from tests.doors.served import served

SHOP = """
import bartizan
from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

app = FastAPI(openapi_url=None)

@app.get("/things/{number:int}")
async def one(number: int) -> int: ...

@app.post("/things")
@app.put("/things")
async def make() -> None: ...

@app.get("/files/{path:path}")
async def file(path: str) -> None: ...

@app.websocket("/live")
async def live(socket) -> None: ...

@app.get("/prices")
@bartizan.public
async def prices() -> None: ...

app.mount("/static", StaticFiles(directory="."))

async def number(scope, receive, send): ...

attached = FastAPI(openapi_url=None)
bz = bartizan.attach(attached)
bz.rbac.declare(bartizan.Permission("invoice:read", "See invoices"))

@attached.get("/invoices")
async def invoices() -> None: ...

def create():
    return app
"""
DRAFTED = {
    "GET /things/{number}": "app:read",
    "POST,PUT /things": "app:write",
    "GET /files/*": "app:read",
    "WEBSOCKET /live": "app:read",
    "GET /static/*": "app:read",
    "DELETE,PATCH,POST,PUT /static/*": "app:write",
}
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in a folder with an app of its own."""
    module = f"shop_{tmp_path.name}"
    (tmp_path / f"{module}.py").write_text(SHOP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def run(*args: str, code: int = 0) -> Result:
        done = CliRunner().invoke(policy, [arg.replace("shop:", f"{module}:") for arg in args])
        assert done.exit_code == code, (args, done.output, done.exception)
        return done

    return run


def test_a_draft_has_every_route_with_what_it_needs_today(run: Run) -> None:
    assert json.loads(run("init", "shop:app", "--json").stdout) == {"routes": DRAFTED}
    assert not Path("bartizan.policy.toml").exists()
    assert "has 6 routes" in run("init", "shop:app").stderr
    checked = run("check", "shop:app")
    assert "All 11 routes are covered." in checked.stdout
    assert "--force" in run("init", "shop:app", code=3).stderr
    run("init", "shop:create", "--factory", "--force")
    assert '"GET /files/*" = "app:read"' in run("init", "shop:app", "--output", "-").stdout


def test_what_has_only_the_default_is_said_and_fails(run: Run) -> None:
    Path("bartizan.policy.toml").write_text(
        '[routes]\n"GET /things/{n}" = "public"\n"* /static/*" = "deny"\n"GET /gone" = "public"\n'
        '"GET /files/*" = "app:read"\n'
    )
    found = run("check", "shop:app", code=1)
    assert "GET\t/things" not in found.stdout
    assert "POST\t/things\tapp:write" in found.stdout
    assert "WEBSOCKET\t/live\tapp:read" in found.stdout
    assert "No route of the app is 'GET /gone'." in found.stderr
    said = json.loads(run("check", "shop:app", "--json", code=1).stdout)
    assert said["uncovered"] == [
        {"method": "WEBSOCKET", "path": "/live", "need": "app:read"},
        {"method": "POST", "path": "/things", "need": "app:write"},
        {"method": "PUT", "path": "/things", "need": "app:write"},
    ]
    assert said["unused"] == ["GET /gone"]


def test_permissions_that_an_attached_app_declares_are_known(run: Run) -> None:
    Path("bartizan.policy.toml").write_text('[routes]\n"GET /invoices" = "invoice:read"\n')
    assert "All 1 routes" in run("check", "shop:attached").stdout


def test_a_file_that_is_wrong_is_a_finding(run: Run) -> None:
    assert "The policy is in order." in run("check").stdout
    Path("bartizan.policy.toml").write_text('[routes]\n"GET /x" = "zebra:ride"\n')
    refused = run("check", code=1)
    assert "bartizan.policy.toml:2: there is no permission 'zebra:ride'" in refused.stderr


def test_without_a_source_there_is_nothing_to_draft(run: Run) -> None:
    assert "--from-openapi" in run("init", code=2).stderr
    assert "cannot be seen from outside" in run("check", "shop:number", code=3).stderr


def documented() -> FastAPI:
    app = FastAPI()

    @app.get("/things/{thing_id}")
    @app.delete("/things/{thing_id}")
    async def thing(thing_id: str) -> str:
        return thing_id

    return app


def test_an_openapi_document_is_as_good_as_the_app(run: Run) -> None:
    Path("openapi.json").write_text(json.dumps(documented().openapi()))
    wanted = {"GET /things/{thing_id}": "app:read", "DELETE /things/{thing_id}": "app:write"}
    assert json.loads(run("init", "--from-openapi", "openapi.json", "--json").stdout) == {"routes": wanted}


async def test_a_document_is_fetched_from_its_address(run: Run) -> None:
    async with served(documented()) as url:
        done = await asyncio.to_thread(run, "init", "--from-openapi", f"{url}/openapi.json", "--json")
    assert "GET /things/{thing_id}" in json.loads(done.stdout)["routes"]


def test_what_is_no_document_is_said(run: Run) -> None:
    Path("other.json").write_text("[]")
    assert "is no OpenAPI document" in run("init", "--from-openapi", "other.json", code=2).stderr
    assert "cannot be read" in run("init", "--from-openapi", "none.json", code=5).stderr


async def test_what_was_seen_becomes_routes_with_parameters(
    bartizan_settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    app = wrap(echo(), bartizan_settings)
    await app.bz.start(embedded=False)
    member = await Cast(app.bz).person(await Cast(app.bz).organization(), "member")
    async with program(app, member) as http:
        for path in ("/things/7", "/things/8", "/things/0b0e7a3c9d11/parts/9", f"/people/{member.id}"):
            assert (await http.post(path)).status_code == 200
        assert (await http.get("/never")).status_code == 200
    await app.bz.stop()
    for name in ("database", "secret_key", "environment"):
        monkeypatch.setenv(f"BARTIZAN_{name.upper()}", bartizan_settings[name])
    drafted = await asyncio.to_thread(run, "init", "--from-observed", "--json")
    assert "changes, not looks" in drafted.stderr
    assert json.loads(drafted.stdout) == {
        "routes": {
            "POST /people/{id}": "app:write",
            "POST /things/{id}": "app:write",
            "POST /things/{id}/parts/{id2}": "app:write",
        }
    }


def test_permissions_of_the_file_can_be_explained_and_the_file_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BARTIZAN_SECRET_KEY", secrets.token_urlsafe(48))

    def run(*args: str, code: int = 0) -> Result:
        done = CliRunner().invoke(command, args)
        assert done.exit_code == code, (args, done.output, done.exception)
        return done

    people = {p["role"]: p["email"] for p in json.loads(run("demo", "--json").stdout)["people"]}
    assert "no policy file" in run("check").stdout
    file = Path("bartizan.policy.toml")
    file.write_text('[permissions]\n"invoice:void" = "Void"\n[routes]\n"GET /x" = "invoice:void"\n')
    assert run("explain", people["owner"], "invoice:void").stdout.startswith("yes")
    assert run("explain", people["member"], "invoice:void").stdout.startswith("no")
    assert "1 in the policy file" in run("check").stdout
    file.write_text('[routes]\n"GET x" = "public"\n')
    assert "BAD  routes" in run("check", code=1).stdout
