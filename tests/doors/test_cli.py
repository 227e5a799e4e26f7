"""The command: what it prints, where, and with which exit code; in real processes on a real folder."""

import asyncio
import json
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.harness.processes import answering, free_port, surroundings

Run = Callable[..., "subprocess.CompletedProcess[str]"]
HOST = """
import asyncio
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

async def slow(request):
    await asyncio.sleep(1.5)
    return PlainTextResponse("finished")

app = Starlette(routes=[Route("/slow", slow), Route("/", slow)])

def create():
    return app

def wsgi(environ, start_response):
    return []

number = 7
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "host.py").write_text(HOST)
    return surroundings(BARTIZAN_SECRET_KEY=secrets.token_urlsafe(48), NO_COLOR="1")


@pytest.fixture
def run(tmp_path: Path, environ: dict[str, str]) -> Run:
    def run(*args: str, code: int = 0, **settings: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "bartizan", *args]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={**environ, **settings},
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == code, (args, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    return run


@asynccontextmanager
async def running(
    folder: Path, environ: dict[str, str], *args: str, mount: str = "/_bartizan"
) -> AsyncGenerator[tuple[httpx.AsyncClient, "subprocess.Popen[bytes]", Path]]:
    port, log = free_port(), folder / "server.log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "bartizan", *args, "--port", str(port)]
        server = subprocess.Popen(command, cwd=folder, env=environ, stdout=out, stderr=out)  # noqa: ASYNC220
    try:
        await answering(f"http://127.0.0.1:{port}{mount}/health/ready", server, log)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            yield http, server, log
    finally:
        server.terminate()
        server.wait(40)


@pytest.mark.feature("CORE-11")
def test_help_comes_without_the_web_framework_and_without_the_database() -> None:
    code = (
        "import sys, bartizan.doors.cli\n"
        "try:\n    bartizan.doors.cli.main(['--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'fastapi', 'starlette', 'sqlalchemy', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in (
        "serve",
        "guard",
        "worker",
        "migrate",
        "check",
        "settings",
        "owner",
        "openapi",
        "demo",
        "explain",
    ):
        assert re.search(rf"^  {name} ", done.stdout, re.MULTILINE), name
    assert "Exit codes" in done.stdout


def test_what_was_mistyped_is_guessed(run: Run) -> None:
    assert "Did you mean `bartizan serve`?" in run("sevre", code=2).stderr
    assert "Did you mean '--concurrency'?" in run("worker", "--concurency", "3", code=2).stderr
    misspelt = run("check", BARTIZAN_DATABSE="x", code=1)
    assert "Did you mean BARTIZAN_DATABASE?" in misspelt.stdout + misspelt.stderr


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("host", 2, "module:attribute"),
        ("nohost:app", 3, "no module 'nohost'"),
        ("host:nothing", 3, "host has no 'nothing'"),
        ("host:create", 2, "--factory"),
        ("host:number", 2, "is not an application"),
    ],
)
def test_a_wrong_name_of_an_app_is_explained(run: Run, name: str, code: int, words: str) -> None:
    said = run("guard", name, code=code).stderr
    assert words in said
    assert 1 < len(said.strip().splitlines()) <= 3


@pytest.mark.feature("CORE-18")
def test_migrations_go_up_and_down_and_say_where_they_are(run: Run) -> None:
    assert run("migrate", "--show").stdout.strip() == "empty"
    newest = run("migrate").stdout.strip().rpartition(" -> ")[2]
    assert re.fullmatch(r"\d{4}", newest)
    assert run("migrate").stdout.strip() == f"Already at {newest}."
    assert "--yes" in run("migrate", "--to", "base", code=2).stderr
    assert run("migrate", "--to", "base", "--yes").stdout.strip() == f"{newest} -> empty"
    assert run("migrate", "--to", newest, "--yes").stdout.strip() == f"empty -> {newest}"
    assert "9999" in run("migrate", "--to", "9999", "--yes", code=2).stderr


@pytest.mark.feature("CORE-13", "CORE-15")
def test_check_names_each_setting_that_production_lacks(run: Run, environ: dict[str, str]) -> None:
    bad = run("check", code=1, BARTIZAN_ENVIRONMENT="production", BARTIZAN_SECRET_KEY="short").stdout
    for name in ("BARTIZAN_DATABASE", "BARTIZAN_BASE_URL", "BARTIZAN_SECRET_KEY"):
        assert f"BAD  {name}: " in bad
    unmigrated = json.loads(run("check", "--json", code=1).stdout)
    assert [one["well"] for one in unmigrated] == [True, True, True, False]
    assert "bartizan migrate" in unmigrated[-1]["detail"]
    run("migrate")
    assert all(line.startswith("ok ") for line in run("check").stdout.splitlines())
    away = run("check", code=1, BARTIZAN_DATABASE="postgresql://ada:hunter2@127.0.0.1:1/x")
    assert "BARTIZAN_DATABASE" in away.stdout
    assert "hunter2" not in away.stdout + away.stderr


@pytest.mark.feature("CORE-13")
def test_settings_are_shown_with_their_sources_and_never_a_secret(run: Run, environ: dict[str, str]) -> None:
    rows = {row["name"]: row for row in json.loads(run("settings", "show", "--json").stdout)}
    assert rows["BARTIZAN_DATABASE"]["source"] == "default"
    assert rows["BARTIZAN_SECRET_KEY"]["source"] == "environment"
    changed = run("settings", "show", "--changed", BARTIZAN_MOUNT="/admin").stdout
    assert "BARTIZAN_MOUNT\t/admin\t/_bartizan\tenvironment" in changed
    assert "BARTIZAN_BASE_URL" not in changed
    assert environ["BARTIZAN_SECRET_KEY"] not in changed + json.dumps(rows)
    assert "Address of the database" in run("settings", "show", "BARTIZAN_DATABASE").stdout
    run("settings", "show", "NO_SUCH", code=3)


@pytest.mark.feature("CORE-17")
def test_the_demo_is_made_once_and_never_in_production(run: Run) -> None:
    made = json.loads(run("demo", "--json").stdout)
    assert [person["role"] for person in made["people"]] == ["owner", "admin", "member", "viewer"]
    assert len(made["teams"]) == 3
    again = run("demo")
    assert again.stdout == ""
    assert "there already" in again.stderr
    production = {
        "BARTIZAN_ENVIRONMENT": "production",
        "BARTIZAN_DATABASE": "sqlite:///bartizan.db",
        "BARTIZAN_BASE_URL": "https://app.example.com",
        "BARTIZAN_EMAIL__BACKEND": "file",
    }
    assert "never made in production" in run("demo", code=3, **production).stderr


@pytest.mark.feature("AZ-07")
def test_explain_says_why(run: Run) -> None:
    people = {p["role"]: p["email"] for p in json.loads(run("demo", "--json").stdout)["people"]}
    assert run("explain", people["member"], "app:write").stdout.startswith("yes")
    no = run("explain", people["viewer"], "app:write").stdout
    assert no.startswith("no")
    assert "member" in no
    assert json.loads(run("explain", people["owner"], "app:read", "--json").stdout)["allowed"] is True
    assert "Nobody here is" in run("explain", "nobody@example.com", "app:read", code=3).stderr
    assert "Nobody here is" in run("explain", "rubbish", "app:read", code=3).stderr


def test_the_openapi_document_is_printed_alone(run: Run) -> None:
    document = json.loads(run("openapi").stdout)
    assert document["openapi"].startswith("3.")
    assert "/api/v1/auth/login" in document["paths"]


@pytest.mark.feature("CORE-17", "OPS-06", "ID-02")
async def test_a_new_installation_is_opened_by_the_owner_link(
    run: Run, tmp_path: Path, environ: dict[str, str]
) -> None:
    async with running(tmp_path, environ, "serve", mount="") as (http, _, log):
        said = log.read_text()
        assert "owner link" in said
        assert f"{http.base_url}".rstrip("/") in said
        assert environ["BARTIZAN_SECRET_KEY"] not in said
        link = httpx.URL(
            run("owner", "link", BARTIZAN_MOUNT="", BARTIZAN_BASE_URL=str(http.base_url)).stdout.strip()
        )
        assert (await http.get(link)).status_code == 200
        new = {
            "email": "ada@example.com",
            "password": "a-long-and-unusual-phrase-77",
            "organization": "Analytical",
            "owner_token": link.params["token"],
        }
        made = await http.post("/api/v1/auth/register", json=new)
        assert made.status_code == 201, made.text
        late = await http.post("/api/v1/auth/register", json={**new, "email": "late@example.com"})
        assert late.status_code == 403


@pytest.mark.feature("OPS-10")
async def test_sigterm_lets_the_request_in_flight_finish(
    tmp_path: Path, environ: dict[str, str], run: Run
) -> None:
    member = next(p for p in json.loads(run("demo", "--json").stdout)["people"] if p["role"] == "member")
    async with running(tmp_path, environ, "guard", "host:create", "--factory") as (http, server, log):
        login = {"login": member["email"], "password": member["password"]}
        answer = await http.post("/_bartizan/api/v1/auth/login", json=login)
        http.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        flight = asyncio.create_task(http.get("/slow"))
        await asyncio.sleep(0.5)
        server.send_signal(signal.SIGTERM)
        assert (await flight).text == "finished"
        assert await asyncio.to_thread(server.wait, 30) == 0, log.read_text()


@pytest.mark.feature("OPS-10")
@pytest.mark.timeout(180)
async def test_maintenance_is_felt_by_a_running_server(
    tmp_path: Path, environ: dict[str, str], run: Run
) -> None:
    people = {p["role"]: p for p in json.loads(run("demo", "--json").stdout)["people"]}
    async with running(tmp_path, environ, "guard", "host:app") as (http, _, _log):
        bearer = {}
        for role in ("owner", "member"):
            login = {"login": people[role]["email"], "password": people[role]["password"]}
            answer = await http.post("/_bartizan/api/v1/auth/login", json=login)
            bearer[role] = {"authorization": f"Bearer {answer.json()['access_token']}"}
        assert (await http.get("/", headers=bearer["member"])).status_code == 200
        run("maintenance", "on", "--message", "Back at 14:00 UTC.")
        since = time.monotonic()
        while (closed := await http.get("/", headers=bearer["member"])).status_code != 503:
            assert time.monotonic() - since < 8
        assert "14:00" in closed.json()["detail"]
        assert closed.headers["retry-after"]
        assert (await http.get("/", headers=bearer["owner"])).status_code == 200, "operators go on"
        assert (await http.get("/_bartizan/health/ready")).status_code == 200
        run("maintenance", "off")
        since = time.monotonic()
        while (await http.get("/", headers=bearer["member"])).status_code != 200:
            assert time.monotonic() - since < 8


@pytest.mark.feature("JOB-01", "OPS-10")
def test_a_worker_stops_when_told(tmp_path: Path, environ: dict[str, str]) -> None:
    command = [sys.executable, "-m", "bartizan", "worker"]
    worker = subprocess.Popen(command, cwd=tmp_path, env=environ, stderr=subprocess.PIPE, text=True)
    assert worker.stderr is not None
    lines = iter(worker.stderr.readline, "")
    assert any("Worker ready" in line for line in lines)
    time.sleep(0.3)
    worker.terminate()
    assert any("nothing is left half done" in line for line in lines)
    assert worker.wait(30) == 0
    worker.stderr.close()
