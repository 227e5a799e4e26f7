"""JupyterLab, an app with a server of its own that nobody here wrote, unchanged behind the gate."""

import json
import subprocess
import uuid
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from tests.harness.processes import answering, free_port

from .apps import VENV, Guarded, guarded


@pytest.fixture
async def jupyter(tmp_path: Path, database_url: str) -> AsyncGenerator[Guarded]:
    """Serve JupyterLab, which leaves it to the gate to know people, and the gate."""
    port = free_port()
    lab = tmp_path / "lab"
    lab.mkdir()
    log = tmp_path / "jupyter.log"
    home = {"HOME": str(lab), "PATH": f"{VENV / 'bin'}:/usr/bin:/bin", "JUPYTER_PLATFORM_DIRS": "1"}
    quiet = ["--ServerApp.open_browser=False", "--allow-root", f"--ServerApp.root_dir={lab}"]
    known = [f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token="]
    trusting = ["--ServerApp.allow_remote_access=True", "--ServerApp.disable_check_xsrf=True"]
    with log.open("w") as out:
        server = subprocess.Popen(  # noqa: ASYNC220 - it must outlive this coroutine's awaits
            [VENV / "bin" / "jupyter-lab", *quiet, *known, *trusting],
            cwd=lab,
            env=home,
            stdout=out,
            stderr=out,
        )
    try:
        await answering(f"http://127.0.0.1:{port}/api", server, log)
        upstream = f"http://127.0.0.1:{port}"
        async with guarded(f"--upstream {upstream}", folder=tmp_path, database=database_url) as app:
            yield app
    finally:
        server.terminate()
        server.wait(30)


async def execute(socket: ClientConnection, code: str) -> dict[str, Any]:
    """Run code in a kernel and give what it makes of it, by Jupyter's messaging protocol 5.3."""
    message_id = uuid.uuid4().hex
    header = {
        "msg_id": message_id,
        "session": uuid.uuid4().hex,
        "username": "",
        "msg_type": "execute_request",
        "version": "5.3",
        "date": "",
    }
    content = {
        "code": code,
        "silent": False,
        "store_history": True,
        "user_expressions": {},
        "allow_stdin": False,
    }
    request = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    await socket.send(json.dumps({**request, "buffers": []}))
    while True:
        heard = json.loads(await socket.recv())
        if heard["parent_header"].get("msg_id") == message_id and heard["msg_type"] == "execute_result":
            data: dict[str, Any] = heard["content"]["data"]
            return data


@pytest.mark.feature("X-23", "CORE-02", "AZ-01", "AUD-01")
@pytest.mark.timeout(300)
async def test_a_notebooks_kernel_adds_one_and_one_for_those_who_may(jupyter: Guarded) -> None:
    async with jupyter.anonymous() as nobody:
        assert (await nobody.get("/api/contents")).status_code == 401
        page = await nobody.get("/lab", headers={"accept": "text/html"})
        assert page.status_code == 303
        assert page.headers["location"].startswith("/_bartizan/sign-in?next=")
    async with jupyter.signed_in("member") as member:
        assert "JupyterLab" in (await member.get("/lab")).text
        notebook = {"type": "file", "format": "text", "content": "x" * 3_000_000}
        saved = await member.put("/api/contents/big.txt", json=notebook)
        assert saved.status_code == 201, saved.text
        got = await member.get("/files/big.txt")
        assert got.text == notebook["content"]
        kernel = await member.post("/api/kernels", json={"name": "python3"})
        assert kernel.status_code == 201, kernel.text
        address = f"{jupyter.url.replace('http', 'ws', 1)}/api/kernels/{kernel.json()['id']}/channels"
        bearer = {"authorization": member.headers["authorization"]}
        async with connect(address, additional_headers=bearer, max_size=None) as socket:
            assert (await execute(socket, "1 + 1"))["text/plain"] == "2"
            large = (await execute(socket, "'y' * 2_000_000"))["text/plain"]
            assert len(large) == 2_000_002
        assert (await member.delete(f"/api/kernels/{kernel.json()['id']}")).status_code == 204
        with pytest.raises(InvalidStatus) as refused:
            await connect(address)
        assert refused.value.response.status_code in {401, 403}
    async with jupyter.signed_in("viewer") as viewer:
        assert (await viewer.get("/api/contents")).status_code == 200
        assert (await viewer.post("/api/kernels", json={"name": "python3"})).status_code == 403
    async with jupyter.signed_in("owner") as owner:
        events = await owner.get("/_bartizan/api/v1/audit", params={"limit": "200"})
        rows = [
            (row["path"], row["outcome"]) for row in events.json()["items"] if row["path"] == "/api/kernels"
        ]
        assert sorted(rows) == [("/api/kernels", "denied"), ("/api/kernels", "success")]
