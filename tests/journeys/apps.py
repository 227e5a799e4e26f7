"""Real applications behind ``bartizan guard``, each in a process of its own."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.harness.processes import GENEROUS, answering, free_port

VENV = Path(os.environ.get("BARTIZAN_TEST_APPS", Path(__file__).parents[2] / ".cache" / "venv-apps"))


@dataclass(frozen=True)
class Guarded:
    """An application behind the gate, and the people who may come."""

    url: str
    passwords: Mapping[str, tuple[str, str]]
    """By role: e-mail and password."""

    def anonymous(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, timeout=60)

    @asynccontextmanager
    async def signed_in(self, role: str) -> AsyncGenerator[httpx.AsyncClient]:
        """Sign in over the API and come back with a bearer token."""
        email, password = self.passwords[role]
        async with self.anonymous() as client:
            answer = await client.post(
                "/_bartizan/api/v1/auth/login", json={"login": email, "password": password}
            )
            assert answer.status_code == 200, answer.text
            client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
            yield client


@asynccontextmanager
async def guarded(*app: str, folder: Path, database: str, **environ: str) -> AsyncGenerator[Guarded]:
    """Seed a demo organization and serve ``app`` from ``folder`` by the command that users type.

    ``app`` is what follows ``bartizan guard``.
    """
    bartizan = VENV / "bin" / "bartizan"
    assert bartizan.exists(), f"{bartizan} is missing: `make peers` installs it"
    base = {
        "PATH": os.environ["PATH"],
        **GENEROUS,
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "BARTIZAN_DATABASE": database,
        "BARTIZAN_SECRET_KEY": secrets.token_urlsafe(32),
        "BARTIZAN_DATA_DIR": str(folder / "bartizan-data"),
        **environ,
    }
    seeded = subprocess.run(  # noqa: ASYNC221 - nothing else runs yet
        [bartizan, "demo", "--json"],
        cwd=folder,
        env=base,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert seeded.returncode == 0, seeded.stderr
    people = json.loads(seeded.stdout)["people"]
    port = free_port()
    log = (folder / "server.log").open("w")
    server = subprocess.Popen(  # noqa: ASYNC220 - it must outlive this coroutine's awaits
        [bartizan, "guard", *app, "--port", str(port)], cwd=folder, env=base, stdout=log, stderr=log
    )
    try:
        url = f"http://127.0.0.1:{port}"
        await answering(f"{url}/_bartizan/health/ready", server, folder / "server.log")
        yield Guarded(url, {p["role"]: (p["email"], p["password"]) for p in people})
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            sys.stderr.write((folder / "server.log").read_text())
            raise
        finally:
            log.close()
