"""Hosts that offer a place for a gate: Datasette and MLflow, each started by its own command."""

import json
import socket
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.harness.processes import free_port

from .apps import VENV, guarded
from .records import audited, refused_when_anonymous

DATASETTE, MLFLOW = str(VENV / "bin" / "datasette"), str(VENV / "bin" / "mlflow")
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
SELL = {"sql": "insert into sales (item) values (:item)", "write": True}
METADATA = {"databases": {"shop": {"queries": {"sell": SELL}}}}


def shop(folder: Path, **plugins: object) -> tuple[str, ...]:
    """Make a database and metadata; give the command that serves them."""
    with sqlite3.connect(folder / "shop.db") as database:
        database.execute("create table sales (id integer primary key, item text)")
        database.execute("insert into sales (item) values ('pear')")
    database.close()
    (folder / "metadata.json").write_text(json.dumps({**METADATA, "plugins": plugins}))
    return DATASETTE, "serve", "shop.db", "-m", "metadata.json", "--port"


@pytest.mark.feature("CORE-02", "FWK-01", "AUD-01")
@pytest.mark.timeout(180)
async def test_datasette_with_the_plugin_named_stands_behind_the_gate(tmp_path: Path) -> None:
    command = (*shop(tmp_path, bartizan={}), "{port}")
    async with guarded("", tmp_path, f"sqlite:///{tmp_path}/bartizan.db", command=command) as app:
        await refused_when_anonymous(app, "/shop/sales.json")
        async with app.browsing("member", "/shop") as browser:
            assert "pear" in (await browser.get("/shop/sales.json")).text
            page = await browser.get("/shop/sell")
            token = browser.cookies["ds_csrftoken"]
            sold = await browser.post("/shop/sell", data={"item": "plum", "csrftoken": token})
            assert sold.status_code == 302, (page.text, sold.text)
            assert "plum" in (await browser.get("/shop/sales.json")).text
            me = (await browser.get("/_bartizan/api/v1/auth/me")).json()["user"]["id"]
            actor = (await browser.get("/-/actor.json")).json()["actor"]
            assert actor["id"] == me
            assert actor["roles"] == ["member"]
        rows = [row for row in await audited(app) if row["path"] == "/shop/sell"]
        assert [row["outcome"] for row in rows] == ["success"]


@pytest.mark.feature("CORE-11")
@pytest.mark.timeout(60)
def test_datasette_without_it_named_is_as_it_was(tmp_path: Path) -> None:
    command = [*shop(tmp_path)[:-1], "--get", "/shop/sales.json"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["rows"] == [[1, "pear"]]
    actor = subprocess.run(
        [*command[:-1], "/-/actor.json"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert json.loads(actor.stdout) == {"actor": None}


@pytest.mark.feature("CORE-02", "FWK-01", "AUD-01")
@pytest.mark.timeout(300)
async def test_mlflow_started_as_the_app_bartizan_stands_behind_the_gate(tmp_path: Path) -> None:
    command = (MLFLOW, "server", "--app-name", "bartizan", "--workers", "1", "--port", "{port}",
               "--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db")  # fmt: skip
    database = f"sqlite:///{tmp_path}/bartizan.db"
    async with guarded("", tmp_path, database, command=command, **QUIET) as app:
        await refused_when_anonymous(app, "/")
        create = "/api/2.0/mlflow/experiments/create"
        async with app.signed_in("member") as member:
            made = await member.post(create, json={"name": "harvest"})
            assert made.status_code == 200, made.text
        rows = [row for row in await audited(app) if row["path"] == create]
        assert [row["outcome"] for row in rows] == ["success"]


@pytest.mark.feature("CORE-02")
@pytest.mark.timeout(240)
@pytest.mark.parametrize("host", ["datasette", "mlflow"])
def test_a_gate_that_cannot_be_built_ends_the_host(tmp_path: Path, host: str) -> None:
    port = str(free_port())
    command = [MLFLOW, "server", "--app-name", "bartizan", "--workers", "1", "--port", port]
    if host == "datasette":
        command = [*shop(tmp_path, bartizan={}), port]
    (tmp_path / "bartizan.policy.toml").write_text('[routes]\n"GET x" = "public"\n')
    environ = {"PATH": f"{VENV}/bin:/usr/bin:/bin", "HOME": str(tmp_path), **QUIET}
    ended = subprocess.run(
        command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=230
    )
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(port))) != 0
    assert "so nothing is served" in ended.stderr + ended.stdout
    assert "bartizan.policy.toml:2" in ended.stderr + ended.stdout
