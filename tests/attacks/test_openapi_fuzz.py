"""Schemathesis over the whole OpenAPI document: no 5xx, and no answer that is not documented."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from tests.harness.processes import GENEROUS, answering, free_port

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_headers_conformance,response_schema_conformance"
)
# They end the very session that the run lives on; each has tests of its own.
ENDINGS = r"/api/v1/(auth/(logout|switch|refresh|password/change)|sessions|identity/me)"

OPEN = r"/api/v1/(auth/(register|login|refresh|verify|password)|invitations/read)"


@pytest.fixture
async def served(tmp_path: Path, database_url: str) -> AsyncGenerator[tuple[str, str]]:
    """Serve the control plane alone; give its address and an owner's access token."""
    environ = {
        **os.environ,
        **GENEROUS,
        "BARTIZAN_DATABASE": database_url,
        "BARTIZAN_SECRET_KEY": secrets.token_urlsafe(32),
        "BARTIZAN_DATA_DIR": str(tmp_path),
        "BARTIZAN_SESSIONS__ACCESS_MINUTES": "60",
    }
    bartizan = [sys.executable, "-m", "bartizan"]
    demo = subprocess.run(  # noqa: ASYNC221 - nothing else runs yet
        [*bartizan, "demo", "--json"], env=environ, capture_output=True, text=True, check=True
    )
    owner = next(person for person in json.loads(demo.stdout)["people"] if person["role"] == "owner")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = tmp_path / "server.log"
    with log.open("wb") as out:
        server = subprocess.Popen(  # noqa: ASYNC220 - it must outlive this coroutine's awaits
            [*bartizan, "serve", "--port", str(port)], env=environ, stdout=out, stderr=out
        )
        try:
            await answering(f"{url}/health/ready", server, log)
            async with httpx.AsyncClient(base_url=url) as http:
                body = {"login": owner["email"], "password": owner["password"]}
                token = (await http.post("/api/v1/auth/login", json=body)).json()["access_token"]
            yield url, token
        finally:
            server.terminate()
            server.wait(30)


def fuzz(folder: Path, url: str, examples: int, *more: str) -> None:
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--url", url,
        "--checks", CHECKS, "--max-examples", str(examples), "--seed", "7", "--workers", "1",
        "--generation-database", "none", "--no-color", "--request-timeout", "20", *more,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500, cwd=folder)
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2_000:]


@pytest.mark.feature("GEN-02")
@pytest.mark.timeout(600)
async def test_an_owner_meets_no_fault_and_no_undocumented_answer(
    served: tuple[str, str], tmp_path: Path
) -> None:
    url, token = served
    fuzz(tmp_path, url, 8, "--header", f"Authorization: Bearer {token}", "--exclude-path-regex", ENDINGS)


@pytest.mark.feature("GEN-02")
@pytest.mark.timeout(600)
async def test_nobody_meets_no_fault_and_no_undocumented_answer(
    served: tuple[str, str], tmp_path: Path
) -> None:
    url, _ = served
    fuzz(tmp_path, url, 5, "--include-path-regex", OPEN)
