"""Two real applications that nobody here wrote, unchanged, behind ``bartizan guard``."""

import json
import sqlite3
import subprocess
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from .apps import VENV, Guarded, guarded
from .records import audited, people, refused_when_anonymous

JSON = {"accept": "application/json"}
DATASETTE = """
from datasette.app import Datasette

metadata = {"databases": {"shop": {"queries": {"sell": {
    "sql": "insert into sales (item) values (:item)", "write": True}}}}}
app = Datasette(["shop.db"], metadata=metadata).app()
"""


@pytest.fixture
async def datasette(tmp_path: Path, database_url: str) -> AsyncGenerator[Guarded]:
    shop = sqlite3.connect(tmp_path / "shop.db")
    shop.execute("create table sales (id integer primary key, item text)")
    shop.execute("insert into sales (item) values ('pear')")
    shop.commit()
    shop.close()
    (tmp_path / "shopfront.py").write_text(DATASETTE)
    async with guarded("shopfront:app", folder=tmp_path, database=database_url) as app:
        yield app


@pytest.fixture
async def mlflow(tmp_path: Path, database_url: str) -> AsyncGenerator[Guarded]:
    environ = {
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{tmp_path}/mlflow.db",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": str(tmp_path / "artifacts"),
        "BARTIZAN_GUARD__READ_ROUTES": json.dumps(
            ["POST /api/2.0/mlflow/experiments/search", "POST /api/2.0/mlflow/runs/search"]
        ),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
    }
    async with guarded(
        "mlflow.server.fastapi_app:app", folder=tmp_path, database=database_url, **environ
    ) as app:
        yield app


@pytest.mark.feature("CORE-02", "FWK-01", "AUD-01", "AZ-01")
@pytest.mark.timeout(240)
async def test_datasette_gains_people_roles_and_a_record(datasette: Guarded) -> None:
    await refused_when_anonymous(datasette, "/shop/sales.json")
    async with datasette.signed_in("member") as member:
        assert "pear" in (await member.get("/shop/sales.json")).text
        sold = await member.post("/shop/sell", data={"item": "plum"}, headers=JSON)
        assert sold.status_code == 200, sold.text
        assert "plum" in (await member.get("/shop/sales.json")).text
    async with datasette.signed_in("viewer") as viewer:
        assert "plum" in (await viewer.get("/shop/sales.json")).text
        refused = await viewer.post("/shop/sell", data={"item": "nothing"}, headers=JSON)
        assert refused.status_code == 403
        assert refused.json()["permission"] == "app:write"
        assert "nothing" not in (await viewer.get("/shop/sales.json")).text
    who = await people(datasette)
    rows = [event for event in await audited(datasette) if event["path"] == "/shop/sell"]
    assert [(who[row["actor"]["id"]], row["outcome"], row["personal"]["ip"]) for row in rows] == [
        (datasette.passwords["viewer"][0], "denied", "127.0.0.1"),
        (datasette.passwords["member"][0], "success", "127.0.0.1"),
    ]


@pytest.mark.feature("CORE-02", "FWK-01", "AUD-01", "KEY-04")
@pytest.mark.timeout(240)
async def test_mlflow_gains_people_roles_and_a_record(mlflow: Guarded, tmp_path: Path) -> None:
    await refused_when_anonymous(mlflow, "/")
    await refused_when_anonymous(mlflow, "/api/2.0/mlflow/experiments/search")
    create = "/api/2.0/mlflow/experiments/create"
    async with mlflow.signed_in("member") as member:
        assert (await member.get("/")).status_code == 200
        made = await member.post(create, json={"name": "harvest"})
        assert made.status_code == 200, made.text
        key = await member.post(
            "/_bartizan/api/v1/api-keys", json={"name": "training", "scopes": ["app:read", "app:write"]}
        )
        assert key.status_code == 201, key.text
    async with mlflow.signed_in("viewer") as viewer:
        found = await viewer.post("/api/2.0/mlflow/experiments/search", json={"max_results": 10})
        assert "harvest" in found.text
        assert (await viewer.post(create, json={"name": "weeds"})).status_code == 403
    trained = subprocess.run(  # noqa: ASYNC221 - the unmodified client of MLflow, with an API key for a token
        [VENV / "bin" / "python", "-c", TRAIN, mlflow.url],
        env={"MLFLOW_TRACKING_TOKEN": key.json()["secret"], "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert trained.returncode == 0, trained.stderr
    who = await people(mlflow)
    rows = await audited(mlflow)
    created = [row for row in rows if row["path"] == create]
    assert [(who[row["actor"]["id"]], row["outcome"]) for row in created] == [
        (mlflow.passwords["viewer"][0], "denied"),
        (mlflow.passwords["member"][0], "success"),
    ]
    by_key = [row for row in rows if row["path"] == "/api/2.0/mlflow/runs/log-metric"]
    assert by_key
    assert by_key[0]["actor"]["type"] == "key"


TRAIN = """
import sys, mlflow
mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("harvest")
with mlflow.start_run():
    mlflow.log_metric("yield", 4.2)
"""


def test_the_commands_of_the_journeys_are_the_users_own() -> None:
    shown = subprocess.run(
        [VENV / "bin" / "bartizan", "guard", "--help"], capture_output=True, text=True, check=True
    )
    assert "bartizan guard mlflow.server.fastapi_app:app" in shown.stdout
