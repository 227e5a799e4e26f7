"""TiTiler's map tiles and Gradio's streams, unchanged, behind ``bartizan guard``."""

import json
import subprocess
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from .apps import BARTIZAN, VENV, Guarded, guarded
from .records import audited, refused_when_anonymous

PYTHON = str(VENV / "bin" / "python")
TITILER = "titiler.application.main:app"
POLICY = """
[routes]
"GET /healthz" = "public"
"GET /cog/statistics" = ["auditor"]
"* /mosaicjson/*" = "deny"
"""
RASTER = """
import numpy, rasterio
from rasterio.transform import from_bounds
with rasterio.open("hill.tif", "w", driver="GTiff", width=256, height=256, count=1, dtype="uint8",
                   crs="EPSG:4326", transform=from_bounds(8, 46, 9, 47, 256, 256)) as file:
    file.write(numpy.arange(65536, dtype="uint16").reshape(1, 256, 256).astype("uint8"))
"""
GRADIO = """
import gradio
from fastapi import FastAPI

def count(number, file):
    for step in range(int(number)):
        yield f"step {step} of {len(open(file).read())}"

demo = gradio.Interface(count, [gradio.Number(), gradio.File()], gradio.Textbox(), flagging_mode="never")
app = gradio.mount_gradio_app(FastAPI(), demo.queue(), path="")
"""


@pytest.fixture
async def titiler(tmp_path: Path) -> AsyncGenerator[Guarded]:
    subprocess.run([PYTHON, "-c", RASTER], cwd=tmp_path, check=True)  # noqa: ASYNC221
    (tmp_path / "bartizan.policy.toml").write_text(POLICY)
    async with guarded(TITILER, tmp_path, f"sqlite:///{tmp_path}/bartizan.db") as app:
        yield app


@pytest.mark.feature("CORE-02", "FWK-01", "AZ-01", "AZ-02")
@pytest.mark.timeout(180)
async def test_titilers_tiles_are_for_members_and_its_routes_obey_the_policy_file(
    titiler: Guarded, tmp_path: Path
) -> None:
    await refused_when_anonymous(titiler, "/cog/info")
    where = {"url": str(tmp_path / "hill.tif")}
    async with titiler.anonymous() as nobody:
        assert (await nobody.get("/healthz")).status_code == 200
        assert (await nobody.get("/cog/preview.png", params=where)).status_code == 401
    async with titiler.browsing("viewer", "/api.html") as viewer:
        tile = await viewer.get("/cog/tiles/WebMercatorQuad/8/133/90.png", params=where)
        assert tile.status_code == 200, tile.text
        assert tile.content.startswith(b"\x89PNG")
        assert (await viewer.get("/cog/statistics", params=where)).status_code == 403
        assert (await viewer.get("/Cog/Statistics", params=where)).status_code == 403
        posted = await viewer.post("/cog/statistics", params=where, json={})
        assert posted.status_code == 403
    async with titiler.signed_in("owner") as owner:
        assert (await owner.get("/cog/statistics", params=where)).status_code == 200
        assert (await owner.get("/mosaicjson/info", params=where)).status_code == 403


@pytest.mark.feature("FWK-01")
@pytest.mark.timeout(120)
def test_the_draft_of_a_policy_covers_every_route_of_titiler(tmp_path: Path) -> None:
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}

    def run(*args: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [BARTIZAN, "policy", *args],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )

    bare = run("check", TITILER, "--json")
    assert bare.returncode == 1, bare.stderr
    missing = {(one["method"], one["path"]) for one in json.loads(bare.stdout)["uncovered"]}
    assert ("GET", "/cog/tiles/{tileMatrixSetId}/{z}/{x}/{y}") in missing
    assert run("init", TITILER).returncode == 0
    full = run("check", TITILER)
    assert full.returncode == 0, full.stdout + full.stderr


@pytest.fixture
async def gradio(tmp_path: Path) -> AsyncGenerator[Guarded]:
    (tmp_path / "counter.py").write_text(GRADIO)
    environ = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
    async with guarded("counter:app", tmp_path, f"sqlite:///{tmp_path}/bartizan.db", **environ) as app:
        yield app


@pytest.mark.feature("CORE-02", "FWK-01", "AUD-01")
@pytest.mark.timeout(180)
async def test_gradios_stream_and_upload_pass_the_gate_with_a_cookie(gradio: Guarded) -> None:
    await refused_when_anonymous(gradio, "/")
    async with gradio.anonymous() as nobody:
        stream = await nobody.get("/gradio_api/queue/data", params={"session_hash": "walnut"})
        assert stream.status_code == 401
    async with gradio.browsing("member") as browser:
        assert "gradio" in (await browser.get("/")).text
        sent = await browser.post("/gradio_api/upload", files={"files": ("note.txt", b"twelve bytes")})
        assert sent.status_code == 200, sent.text
        file = {"path": sent.json()[0], "meta": {"_type": "gradio.FileData"}}
        steps = (await browser.get("/config")).json()["dependencies"]
        index = next(step["id"] for step in steps if step["api_name"] == "count")
        asked = {"data": [3, file], "fn_index": index, "session_hash": "walnut"}
        joined = await browser.post("/gradio_api/queue/join", json=asked)
        assert joined.status_code == 200, joined.text
        said: list[dict[str, Any]] = []
        query = {"session_hash": "walnut"}
        async with browser.stream("GET", "/gradio_api/queue/data", params=query) as events:
            assert events.headers["content-type"].startswith("text/event-stream")
            async for line in events.aiter_lines():
                if line.startswith("data: "):
                    said.append(json.loads(line.removeprefix("data: ")))
                if said and said[-1]["msg"] in {"process_completed", "close_stream"}:
                    break
    assert "process_generating" in {event["msg"] for event in said}
    assert "step 2 of 12" in json.dumps(said)
    async with gradio.signed_in("viewer") as viewer:
        assert (await viewer.post("/gradio_api/queue/join", json=asked)).status_code == 403
    rows = [row for row in await audited(gradio) if row["path"] == "/gradio_api/upload"]
    assert [row["outcome"] for row in rows] == ["success"]
