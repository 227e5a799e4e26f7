"""``make run``: the sample app, in a process, as somebody who has just cloned the repository meets it."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.harness.processes import answering, free_port, surroundings

ROOT = Path(__file__).parents[2]
PERSON = re.compile(r"^ {4}(owner|admin|member|viewer) +(\S+@\S+) +(\S+)$", re.MULTILINE)
API = "/_bartizan/api/v1"


@dataclass
class Notes:
    url: str
    said: str
    data: Path
    people: dict[str, tuple[str, str]]

    @asynccontextmanager
    async def bearer(self, role: str) -> AsyncGenerator[httpx.AsyncClient]:
        """Sign in as the printed curl line does: an OAuth 2 form."""
        email, password = self.people[role]
        async with httpx.AsyncClient(base_url=self.url, timeout=30) as http:
            answer = await http.post(f"{API}/auth/login", data={"username": email, "password": password})
            assert answer.status_code == 200, answer.text
            http.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
            yield http

    @asynccontextmanager
    async def browser(self, role: str) -> AsyncGenerator[httpx.AsyncClient]:
        """Sign in over the page, as a browser does."""
        email, password = self.people[role]
        html = {"accept": "text/html"}
        async with httpx.AsyncClient(base_url=self.url, timeout=30, headers=html) as http:
            page = await http.get("/", follow_redirects=True)
            assert page.url.path == "/_bartizan/sign-in"
            hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))
            hidden |= dict(re.findall(r'name="(csrf|next)"[^>]*value="([^"]*)"', page.text))
            form = {**hidden, "login": email, "password": password}
            done = await http.post(page.url.path, data=form, headers={"origin": self.url})
            assert done.status_code == 303, done.text
            assert done.headers["location"] == "/"
            yield http


@pytest.fixture
async def notes(tmp_path: Path) -> AsyncGenerator[Notes]:
    port = free_port()
    log = tmp_path / "server.log"
    environ = surroundings(PORT=str(port), NOTES_DATA=str(tmp_path / "data"), PYTHONPATH=str(ROOT))
    with log.open("wb") as out:
        command = [sys.executable, "-m", "examples.notes"]
        server = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=out, stderr=out)  # noqa: ASYNC220
    try:
        url = f"http://127.0.0.1:{port}"
        await answering(f"{url}/_bartizan/health/ready", server, log)
        said = log.read_text()
        yield Notes(
            url, said, tmp_path / "data", {role: (email, word) for role, email, word in PERSON.findall(said)}
        )
    finally:
        server.terminate()
        assert server.wait(30) == 0, log.read_text()


@pytest.mark.feature("CORE-01", "CORE-17", "OPS-06", "AUD-02", "AZ-01")
@pytest.mark.timeout(180)
async def test_a_stranger_writes_a_note_both_ways_and_finds_it_on_record(notes: Notes) -> None:
    assert set(notes.people) == {"owner", "admin", "member", "viewer"}
    assert f"App       {notes.url}/" in notes.said
    async with httpx.AsyncClient(base_url=notes.url) as nobody:
        assert (await nobody.get("/api/notes")).status_code == 401

    async with notes.browser("member") as member:
        written = await member.post("/notes", data={"text": "by hand"}, headers={"origin": notes.url})
        assert written.status_code == 303, written.text
        assert "by hand" in (await member.get("/")).text
        forged = await member.post("/notes", data={"text": "no"}, headers={"origin": "https://evil.example"})
        assert (forged.status_code, forged.json()["code"]) == (403, "cross-site")
    async with notes.bearer("owner") as owner:
        assert (await owner.post("/api/notes", json={"text": "by program"})).status_code == 201
        assert [note["text"] for note in (await owner.get("/api/notes")).json()] == ["by program", "by hand"]
    async with notes.bearer("viewer") as viewer:
        assert (await viewer.get("/api/notes")).status_code == 200
        refused = await viewer.post("/api/notes", json={"text": "no"})
        assert (refused.status_code, refused.json()["permission"]) == (403, "app:write")

    async with notes.bearer("owner") as owner:
        rows = (await owner.get(f"{API}/audit", params={"limit": "100"})).json()["items"]
        members = (await owner.get(f"{API}/members")).json()["items"]
    who = {member["user_id"]: member["email"] for member in members}
    changed = [row for row in rows if (row["path"] or "").endswith("/notes") and row["method"] == "POST"]
    told = [(who[row["actor"]["id"]], row["path"], row["outcome"], row["personal"]["ip"]) for row in changed]
    assert told == [
        (notes.people["viewer"][0], "/api/notes", "denied", "127.0.0.1"),
        (notes.people["owner"][0], "/api/notes", "success", "127.0.0.1"),
        (notes.people["member"][0], "/notes", "success", "127.0.0.1"),
    ]


@pytest.mark.feature("TEN-01", "TEN-09")
@pytest.mark.timeout(180)
async def test_another_organization_sees_nothing_and_leaves_nothing(notes: Notes) -> None:
    async with notes.bearer("owner") as owner, notes.bearer("member") as member:
        await owner.post("/api/notes", json={"text": "ours"})
        founded = await member.post(f"{API}/orgs", json={"name": "Globex"})
        assert founded.status_code == 201, founded.text
        globex = founded.json()["id"]
        there = {"x-org-id": globex}
        assert (await member.get("/api/notes", headers=there)).json() == []
        theirs = await member.post("/api/notes", json={"text": "theirs"}, headers=there)
        assert theirs.status_code == 201, theirs.text
        assert [note["text"] for note in (await owner.get("/api/notes")).json()] == ["ours"]
        path = f"/api/notes/{theirs.json()['id']}"
        assert (await owner.delete(path)).status_code == 404, "what is another organization's is not found"
        assert (await owner.get("/api/notes", headers=there)).status_code in {403, 404}

        asked = {"confirm": founded.json()["slug"]}
        closed = await member.post(f"{API}/orgs/{globex}/close", json=asked, headers=there)
        assert closed.status_code == 204, closed.text
    left = sqlite3.connect(notes.data / "notes.db").execute("select org_id, text from notes").fetchall()
    assert [text for _, text in left] == ["ours"]
