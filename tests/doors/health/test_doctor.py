"""``bartizan doctor``: each thing is broken for real, found, repaired where that is safe, and well again."""

import json
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bartizan.doors.cli.main import bartizan
from bartizan.doors.health.settings import settings_alone
from bartizan.foundation.settings.service.fields import leaves
from bartizan.house import Settings
from tests.doors.health.conftest import Doctor
from tests.harness.processes import surroundings

ROOT = Path(__file__).parents[3]


@pytest.mark.feature("X-30")
def test_a_sound_installation_has_no_problem(doctor: Doctor) -> None:
    found = doctor("--fix")
    assert found.code == 0, found.said
    assert found.said["summary"]["problem"] == 0
    states = {f["code"]: f["state"] for f in found.said["findings"]}
    assert {code for code, state in states.items() if state == "ok"} >= {
        "database.answers", "database.revision", "database.walls", "database.role", "database.tables",
        "database.clock", "redis.answers", "audit.intact", "audit.guarded",
        "keys.secret", "keys.files", "keys.signing", "keys.sealed", "web.base_url", "web.proxies",
        "web.public", "web.cors", "identity.auth", "jobs.delay", "jobs.dead", "mail.backend",
        "storage.data_dir", "storage.disk", "machine.locale",
    }  # fmt: skip
    assert states["web.answers"] == "unknown"
    # The server of the tests forgets on purpose, which is what the doctor says of it.
    assert states["database.settings"] == "ok" or "fsync is off" in found.what("database.settings")
    assert doctor("--strict").code == 1
    for finding in found.said["findings"]:
        assert finding["why"]
        assert finding["link"].startswith("https://bartizan.dev/how-to/doctor/#")


@pytest.mark.feature("X-30", "CORE-11")
def test_offline_it_loads_neither_the_framework_nor_the_database(place: Path) -> None:
    code = (
        "import sys\nfrom bartizan.doors.cli import main\n"
        "try:\n    main(['doctor', '--offline'])\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "heavy = {'fastapi', 'starlette', 'sqlalchemy', 'bartizan.house'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=place
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "settings are given and all can be used" in done.stdout
    assert "Database" not in done.stdout


def test_settings_read_offline_are_those_of_the_house() -> None:
    alone = {leaf.variable: leaf.info.default for leaf in leaves(settings_alone(), "")}
    assert alone == {leaf.variable: leaf.info.default for leaf in leaves(Settings, "")}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.feature("X-30")
def test_files_that_others_can_read_are_closed_and_folders_made(
    doctor: Doctor, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "data").chmod(0o755)
    (tmp_path / "bartizan.db").chmod(0o644)
    (place / ".env").write_text(f"BARTIZAN_SECRET_KEY={secrets.token_urlsafe(48)}\n")
    (place / ".env").chmod(0o644)
    monkeypatch.delenv("BARTIZAN_SECRET_KEY")
    found = doctor("--offline")
    assert (found.code, found.state("keys.files")) == (1, "problem")
    assert f"chmod 600 {place / '.env'}" in found.what("keys.files")
    assert found.state("storage.data_dir") == found.state("storage.sqlite") == "warning"
    mended = doctor("--offline", "--fix")
    assert len(mended.repairs) == 3
    assert mended.code == 0
    assert {mended.state(code) for code in ("keys.files", "storage.data_dir", "storage.sqlite")} == {"ok"}
    monkeypatch.setenv("BARTIZAN_DATA_DIR", str(place / "new"))
    assert doctor("--offline").state("storage.data_dir") == "warning"
    assert doctor("--offline", "--fix").state("storage.data_dir") == "ok"
    assert (place / "new").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.feature("X-30")
def test_a_data_folder_that_cannot_be_written_is_explained(
    doctor: Doctor, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BARTIZAN_DATA_DIR", "/proc")
    found = doctor("--offline")
    assert (found.code, found.state("storage.data_dir")) == (1, "problem")
    assert "BARTIZAN_DATA_DIR" in found.what("storage.data_dir")
    (place / "file").write_text("in the way")
    monkeypatch.setenv("BARTIZAN_DATA_DIR", str(place / "file" / "data"))
    stuck = doctor("--offline", "--fix")
    assert "could not be repaired" in stuck.repairs[0]
    monkeypatch.delenv("BARTIZAN_SECRET_KEY")
    keyless = doctor()
    assert keyless.code == 1
    assert "Cannot keep a development key" in keyless.what("settings.house")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("name", "value", "code", "state", "words"),
    [
        ("DATABSE", "x", "settings.valid", "problem", "Did you mean BARTIZAN_DATABASE?"),
        ("JOBS__LEASE", "never", "settings.valid", "problem", "BARTIZAN_JOBS__LEASE"),
        ("BASE_URL", "http://app.example.com", "web.base_url", "warning", "no TLS"),
        ("BASE_URL", "http://127.0.0.1/app", "web.base_url", "problem", "has a path"),
        ("BASE_URL", "https://app.example.com", "settings.environment", "warning", "says test"),
        ("BASE_URL", "https://app.example.com", "web.proxies", "warning", "no proxy is trusted"),
        ("GUARD__TRUSTED_PROXIES", "0.0.0.0/0", "web.proxies", "problem", "Everybody in 0.0.0.0/0"),
        ("GUARD__TRUSTED_PROXIES", "my-proxy", "web.proxies", "problem", "no address"),
        ("GUARD__PUBLIC_PATHS", "/*", "web.public", "problem", "opens the whole app"),
        ("GUARD__PUBLIC_PATHS", "ping", "web.public", "problem", "no path"),
        ("GUARD__CORS_ORIGINS", "*", "web.cors", "problem", "every page"),
        ("GUARD__CORS_ORIGINS", "http://a.example", "web.cors", "warning", "no TLS"),
        ("ENABLE_AUTH", "false", "settings.safe", "warning", "BARTIZAN_ENABLE_AUTH"),
        ("EMAIL__BACKEND", "smtp", "mail.backend", "problem", "which others refuse"),
        ("ENVIRONMENT", "production", "settings.safe", "problem", "BARTIZAN_BASE_URL"),
        ("ENVIRONMENT", "production", "web.base_url", "problem", "cannot reach"),
    ],
)
@pytest.mark.feature("X-30", "CORE-13")
def test_a_setting_that_is_wrong_or_unwise_is_told(  # noqa: PLR0917
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, name: str, value: str, code: str, state: str, words: str
) -> None:
    monkeypatch.setenv(f"BARTIZAN_{name}", value)
    found = doctor("--offline")
    assert found.state(code) == state, found.said
    assert words in found.what(code)
    assert found.code == (1 if state == "problem" else 0)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_wrong_settings_leave_the_rest_unknown_and_say_why(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BARTIZAN_DATABSE", "x")
    found = doctor()
    assert found.code == 1
    assert "the settings cannot be read" in found.what("web.base_url")
    assert "the settings cannot be read" in found.what("database.answers")


HOST = """
import bartizan
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

def create(**settings):
    app = FastAPI()
    app.bz = bartizan.attach(app)

    @app.get("/", response_class=HTMLResponse)
    def page(): return "<p>hello"

    @app.get("/things/{name}")
    def thing(name: str): ...

    @app.get("/things/all")
    def every(): ...

    @app.post("/hooks/payment")
    def hook(): ...

    @app.get("/_bartizan/mine")
    def mine(): ...
    return app

app = create()
"""


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.feature("X-30")
def test_the_routes_of_a_named_app_are_looked_at(place: Path, tmp_path: Path, database_url: str) -> None:
    (place / "main.py").write_text(HOST)
    (place / "bare.py").write_text("app = lambda scope, receive, send: None")
    (place / "lost.py").write_text("import nowhere_to_be_found")
    environ = surroundings(
        BARTIZAN_DATABASE=database_url,
        BARTIZAN_SECRET_KEY=secrets.token_urlsafe(48),
        BARTIZAN_GUARD__PUBLIC_PATHS="/hooks/*",
        BARTIZAN_DATA_DIR=str(tmp_path),
    )

    def run(*args: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "bartizan", *args]
        return subprocess.run(command, cwd=place, env=environ, capture_output=True, text=True, check=False)

    done = run("doctor", "main:app", "--quiet")
    assert done.returncode == 1, done.stderr
    for words in (
        "below /_bartizan, which never get a request: /_bartizan/mine",
        "Anyone may call POST /hooks/payment",
        "GET /things/all (behind /things/{name})",
        "carry no Content-Security-Policy",
    ):
        assert words in done.stdout, done.stdout
    for name, words in (
        ("bare:app", "not attached"),
        ("main:nothing", "has no 'nothing'"),
        ("lost:app", "nowhere"),
    ):
        lost = run("doctor", name)
        assert lost.returncode == 2, (name, lost.stdout)
        assert words in lost.stderr
        assert "Traceback" not in lost.stderr
    for args, words in (
        (("doctr",), "Did you mean `bartizan doctor`?"),
        (("doctor", "--ofline"), "--offline"),
    ):
        typo = run(*args)
        assert typo.returncode == 2
        assert words in typo.stderr


def test_people_read_lines_and_each_reason_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARTIZAN_GUARD__PUBLIC_PATHS", "/*,ping")
    (place / "data").chmod(0o755)
    result = CliRunner().invoke(bartizan, ["doctor", "--offline", "--quiet"])
    assert result.output.count("why: What is public") == 1
    assert result.output.count("fix: ") >= 3
    assert "`bartizan doctor --fix` repairs " in result.output
    assert "ok      " not in result.output


def test_every_check_is_on_the_page(place: Path) -> None:
    rows = json.loads(CliRunner().invoke(bartizan, ["doctor", "--list", "--json"]).stdout)
    assert len(rows) >= 38
    page = (ROOT / "docs" / "how-to" / "doctor.md").read_text()
    for row in rows:
        mends = f" `--fix` {row['mends']}." if row["mends"] else ""
        anchor = row["code"].replace(".", "-")
        line = f'| <a id="{anchor}"></a>`{row["code"]}` | {row["asks"]}{mends} | {row["why"]} |'
        assert line in page, line
    offline = CliRunner().invoke(bartizan, ["doctor", "--list", "--offline"]).output
    assert "storage.disk: At least 1 GiB" in offline
    assert "database.walls" not in offline
