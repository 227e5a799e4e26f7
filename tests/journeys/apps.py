"""Real applications behind ``bartizan guard``, each in a process of its own."""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from tests.harness.processes import GENEROUS, answering, free_port

VENV = Path(os.environ.get("BARTIZAN_TEST_APPS", Path(__file__).parents[2] / ".cache" / "venv-apps"))
BARTIZAN = VENV / "bin" / "bartizan"
PATIENCE = 240  # seconds: some of these take long to start on a machine that has other things to do


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
    async def browsing(self, role: str, page: str = "/") -> AsyncGenerator[httpx.AsyncClient]:
        """Open a page as a browser does: sent to sign-in, signed in over the form, and back at the page."""
        email, password = self.passwords[role]
        headers = {"accept": "text/html", "origin": self.url, "sec-fetch-mode": "navigate"}
        async with httpx.AsyncClient(base_url=self.url, timeout=60, headers=headers) as client:
            form = await client.get(page, follow_redirects=True)
            assert form.url.path == "/_bartizan/sign-in", form.text
            hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form.text))
            hidden |= dict(re.findall(r'name="(csrf|next)"[^>]*value="([^"]*)"', form.text))
            done = await client.post(form.url.path, data={**hidden, "login": email, "password": password})
            assert done.status_code == 303, done.text
            assert done.headers["location"] == page
            yield client


@dataclass(frozen=True)
class Seed:
    """A demo organization in a database, and the key that its secrets are under."""

    database: str
    secret: str
    people: Sequence[Mapping[str, str]]


def planted(folder: Path, database: str) -> Seed:
    """Make the demo organization by the command that users type."""
    secret = secrets.token_urlsafe(32)
    done = subprocess.run(
        [BARTIZAN, "demo", "--json"],
        cwd=folder,
        env=_environ(folder, BARTIZAN_DATABASE=database, BARTIZAN_SECRET_KEY=secret),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return Seed(database, secret, json.loads(done.stdout)["people"])


def copied(seed: Seed, folder: Path) -> Seed:
    """Give a copy of a seeded SQLite file, in a folder of its own."""
    shutil.copy(seed.database.removeprefix("sqlite:///"), folder / "bartizan.db")
    return replace(seed, database=f"sqlite:///{folder}/bartizan.db")


def _environ(folder: Path, **settings: str) -> dict[str, str]:
    assert BARTIZAN.exists(), f"{BARTIZAN} is missing: `make peers` installs it"
    base = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", **GENEROUS}
    return {**base, "BARTIZAN_DATA_DIR": str(folder / "bartizan-data"), **settings}


@asynccontextmanager
async def guarded(
    app: str,
    folder: Path,
    database: str | Seed,
    *,
    command: Sequence[str] = (),
    **environ: str,
) -> AsyncGenerator[Guarded]:
    """Seed a demo organization and serve ``app`` from ``folder`` by the command that users type.

    ``database`` may be seeded already. ``command`` is an application's own, with ``{port}`` where the port
    goes; by default it is ours.
    """
    seed = database if isinstance(database, Seed) else planted(folder, database)
    base = _environ(folder, BARTIZAN_DATABASE=seed.database, BARTIZAN_SECRET_KEY=seed.secret, **environ)
    port = free_port()
    log = (folder / "server.log").open("w")
    words = [
        word.format(port=port) for word in command or (str(BARTIZAN), "guard", *app.split(), "--port={port}")
    ]
    server = subprocess.Popen(  # noqa: ASYNC220 - it must outlive this coroutine's awaits
        words, cwd=folder, env=base, stdout=log, stderr=log
    )
    try:
        url = f"http://127.0.0.1:{port}"
        await answering(f"{url}/_bartizan/health/ready", server, folder / "server.log", PATIENCE)
        yield Guarded(url, {p["role"]: (p["email"], p["password"]) for p in seed.people})
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
