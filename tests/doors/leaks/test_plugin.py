"""The walk on the command line of pytest, samples of bodies, and what an application offers."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, WebSocket

from bartizan.doors.testing.leaks.samples import Sampler
from bartizan.doors.testing.leaks.surface import discover
from tests.harness.processes import surroundings

HOST = """
import bartizan
from bartizan import current
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

app = FastAPI()
bartizan.attach(app)
notes = {}

class New(BaseModel):
    text: str

@app.post("/notes")
def write(new: New):
    notes[len(notes) + 1] = (current.org_id, new.text)
    return {"id": len(notes)}

@app.get("/notes/{note_id}")
def read(note_id: int):
    org_id, text = notes.get(note_id, ("", ""))
    if CONDITION:
        raise HTTPException(404)
    return text

async def make(http):
    return {"note_id": (await http.post("/notes", json={"text": "made by hand"})).json()["id"]}
"""


@pytest.mark.parametrize("leaky", [True, False])
@pytest.mark.feature("X-07")
def test_a_run_can_name_an_app_without_a_test_of_its_own(tmp_path: Path, *, leaky: bool) -> None:
    (tmp_path / "main.py").write_text(
        HOST.replace("CONDITION", "not text" if leaky else "org_id != current.org_id")
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    arguments = [
        "--bartizan-leaks",
        "main:app",
        "--bartizan-leaks-make",
        "main:make",
        "-p",
        "no:cacheprovider",
    ]
    command = [sys.executable, "-m", "pytest", "-p", "bartizan.doors.testing", *arguments]
    done = subprocess.run(
        command, cwd=tmp_path, env=surroundings(), capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == (1 if leaky else 0), done.stdout + done.stderr
    assert "no-leaks[main:app]" in done.stdout or not leaky
    assert ("LEAK 1. GET /notes/{note_id}" in done.stdout) == leaky, done.stdout
    assert not (tmp_path / "bartizan.db").exists()


SCHEMAS: list[tuple[dict[str, Any], str]] = [
    ({"type": "string"}, r"zqtest\d{3} sample"),
    ({"type": "string", "maxLength": 4}, "zqte|xxxx"),
    ({"type": "string", "minLength": 40}, r"zqtest\d{3} samplex+"),
    ({"type": "string", "pattern": "^[a-z0-9-]+$"}, r"zqtest\d{3}-sample"),
    ({"type": "string", "pattern": "^#[0-9a-f]{6}$"}, "#3366cc"),
    ({"type": "string", "format": "email"}, r"zqtest\d{3}@example.com"),
    ({"type": "string", "format": "date"}, r"\d{4}-\d\d-\d\d"),
    ({"type": "string", "format": "uuid"}, r"[0-9a-f-]{36}"),
    ({"type": "integer", "minimum": 5, "maximum": 9}, "5"),
    ({"type": "integer", "exclusiveMinimum": 0}, "1"),
    ({"type": "number", "multipleOf": 25, "minimum": 30}, "50"),
    ({"type": "boolean"}, "False"),
    ({"const": "fixed"}, "fixed"),
    ({"enum": ["a", "b"]}, "a"),
    ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, "1"),
    ({"type": ["null", "integer"]}, "1"),
    ({"type": "null"}, "None"),
    ({"type": "array", "items": {"enum": ["x"]}, "minItems": 2}, r"\['x', 'x'\]"),
    ({"$ref": "#/components/schemas/Thing"}, r"\{'name': 'zqtest\d{3} sample', 'size': 1\}"),
    ({"allOf": [{"$ref": "#/components/schemas/Thing"}]}, r"\{'name': 'zqtest\d{3} sample', 'size': 1\}"),
]


@pytest.mark.parametrize(("schema", "looks"), SCHEMAS)
def test_samples_are_what_the_schema_accepts(schema: dict[str, Any], looks: str) -> None:
    thing = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string"}, "size": {"type": "integer"}, "left": {"type": "null"}},
    }
    sampler = Sampler("zqtest", {"Thing": thing})
    assert re.fullmatch(looks, str(sampler.value(schema)))


def test_a_schema_that_holds_itself_ends() -> None:
    node: dict[str, Any] = {"properties": {"child": {"$ref": "#/x/Node"}, "name": {"type": "string"}}}
    made = Sampler("zqtest", {"Node": node}).value({"$ref": "#/x/Node"})
    assert made["child"]["name"].startswith("zqtest")


def test_the_surface_is_the_document_and_what_stands_beside_it() -> None:
    app, router, deep, inside = FastAPI(), APIRouter(prefix="/in"), APIRouter(prefix="/deep"), FastAPI()

    @deep.get("/x/{a}")
    def x(a: int) -> None: ...

    @router.websocket("/ws/{room}")
    async def ws(websocket: WebSocket, room: str) -> None: ...

    @inside.post("/things")
    def things() -> None: ...

    @app.get("/hidden", include_in_schema=False)
    def hidden() -> None: ...

    router.include_router(deep, prefix="/mid")
    app.include_router(router, prefix="/api")
    app.mount("/sub", inside)
    surface, left = discover(app, skip=["GET /hid*"])
    assert {str(operation) for operation in surface.operations} == {
        "GET /api/in/mid/deep/x/{a}",
        "POST /sub/things",
    }
    assert surface.sockets == ["/api/in/ws/{room}"]
    assert left == ["GET /hidden"]
