"""An installation in good order, to be broken by the tests and looked at by the doctor."""

import asyncio
import json
import secrets
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from click.testing import CliRunner, Result

from bartizan.doors.cli.main import bartizan
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import current
from bartizan.foundation.settings import load
from bartizan.house import Bartizan, Settings
from tests.harness.processes import free_port

Doctor = Callable[..., "Findings"]


class Findings:
    """What one run said."""

    def __init__(self, result: Result) -> None:
        self.code = result.exit_code
        self.said = json.loads(result.stdout)
        self.repairs: list[str] = self.said["repairs"]

    def state(self, code: str) -> str:
        """Give the worst state of one check."""
        order = ["ok", "unknown", "warning", "problem"]
        return max((str(f["state"]) for f in self.said["findings"] if f["code"] == code), key=order.index)

    def what(self, code: str) -> str:
        """Give what it said, and how to mend it."""
        return " ".join(f"{f['what']} {f['fix']}" for f in self.said["findings"] if f["code"] == code)


@pytest.fixture
def place(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder of an installation in good order, with its settings in the environment."""
    folder = tmp_path / "place"
    (folder / "data").mkdir(parents=True, mode=0o700)
    monkeypatch.chdir(folder)
    for name, value in {
        "ENVIRONMENT": "test",
        "DATABASE": database_url,
        "DATA_DIR": str(folder / "data"),
        "SECRET_KEY": secrets.token_urlsafe(48),
        "BASE_URL": f"http://127.0.0.1:{free_port()}",
        "EMAIL__BACKEND": "file",
    }.items():
        monkeypatch.setenv(f"BARTIZAN_{name}", value)
    return folder


@pytest.fixture
def doctor(place: Path) -> Doctor:
    def run(*args: str) -> Findings:
        return Findings(CliRunner().invoke(bartizan, ["doctor", "--json", *args]))

    return run


def within(act: Callable[[Bartizan], Any], clock: Clock | None = None) -> None:
    """Do something in the house of the environment."""

    async def run() -> None:
        house = Bartizan(load(Settings).settings, clock=clock)
        try:
            with current.as_system():
                await act(house)
        finally:
            await house.stop()

    asyncio.run(run())


def sql(url: str, *statements: str) -> None:
    """Change the database behind everybody's back."""

    async def on_the_server() -> None:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    if url.startswith("postgresql"):
        asyncio.run(on_the_server())
        return
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
