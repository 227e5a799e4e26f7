"""Attaching works on the framework's current release and on two minor versions before it."""

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = """
import asyncio, json, sys, httpx, fastapi, starlette, bartizan

async def main(app, bz):
    await bz.start(embedded=False)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://app.test") as http:
        paths = ("/hi", "/_bartizan/health/ready", "/_bartizan/sign-in")
        found = [(await http.get(path)).status_code for path in paths]
        login = {"email": "ada@example.com", "password": "a-long-and-unusual-phrase-77", "organization": "A"}
        made = await http.post("/_bartizan/api/v1/auth/register", json=login)
        token = made.json()["tokens"]["access_token"]
        http.headers["authorization"] = "Bearer " + token
        found.append((await http.get("/hi")).status_code)
        found.append((await http.get("/_bartizan/api/v1/auth/me")).status_code)
        found.append((await http.get("/_bartizan/openapi.json")).status_code)
    await bz.stop()
    return found

app = fastapi.FastAPI()
app.get("/hi")(lambda: {"hi": "there"})
bz = bartizan.attach(app, {"database": "sqlite:///v.db", "environment": "test", "base_url": "http://app.test"})
found = asyncio.run(main(app, bz))
print(json.dumps({"fastapi": fastapi.__version__, "starlette": starlette.__version__, "found": found}))
"""


def earlier(name: str, steps: int) -> str:
    """Ask for the newest release at least so many minor versions before the installed one."""
    major, minor = (int(part) for part in version(name).split(".")[:2])
    return f"{name}<{major}.{minor - steps + 1}"


@pytest.mark.slow
@pytest.mark.feature("FWK-01")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("steps", [0, 1, 2])
@pytest.mark.parametrize("name", ["fastapi", "starlette"])
def test_attaching_works_here_and_on_two_minor_versions_back(tmp_path: Path, name: str, steps: int) -> None:
    uv = shutil.which("uv") or str(ROOT / ".cache" / "tools" / "bin" / "uv")
    environ = {k: v for k, v in os.environ.items() if not k.startswith("BARTIZAN_")}
    venv = tmp_path / "venv"
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, venv], check=True, env=environ)
    wanted = [earlier(name, steps), "httpx", "-e", str(ROOT)]
    subprocess.run([uv, "pip", "install", "-q", "--python", venv, *wanted], check=True, env=environ)
    done = subprocess.run(
        [venv / "bin" / "python", "-c", SCRIPT],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    minor = [int(text.split(".")[1]) for text in (told[name], version(name))]
    assert minor[1] - minor[0] >= steps
    assert told["found"] == [401, 200, 200, 200, 200, 200]
