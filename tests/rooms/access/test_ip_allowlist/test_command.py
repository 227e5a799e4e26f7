"""The command for whoever runs the machine: it mends rules that lock everybody out."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bartizan.backbone.audit import AuditQuery
from bartizan.foundation.context import current
from bartizan.house import Bartizan
from tests.harness.processes import surroundings

from .conftest import AWAY, HOME, Acme, appoint, found

Run = Callable[..., Awaitable["subprocess.CompletedProcess[str]"]]


@pytest.fixture
def run(bartizan_settings: dict[str, Any], tmp_path: Path) -> Run:
    """Run the command on the same database, as another process."""
    environ = surroundings(
        BARTIZAN_DATABASE=bartizan_settings["database"],
        BARTIZAN_SECRET_KEY=bartizan_settings["secret_key"],
        BARTIZAN_ENVIRONMENT="test",
    )

    async def run(*args: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "bartizan", "ip", *args]
        done = await asyncio.to_thread(
            subprocess.run, command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=100,
            check=False,
        )  # fmt: skip
        assert done.returncode == code, (args, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.mark.feature("NET-02", "ID-06")
async def test_an_organization_that_is_locked_out_gets_in_again(acme: Acme, run: Run) -> None:
    office = await acme.rule("192.0.2.0/24", confirm=True)
    of_role = await acme.rule("192.0.2.1", role="owner", callers=["people"], confirm=True)
    assert await acme.refused(HOME, acme.owner)
    listed = json.loads((await run("list", "--org", acme.id, "--json")).stdout)
    assert [rule["id"] for rule in listed] == [of_role.id, office.id]
    allowed = await run("allow", HOME, "2001:db8::/32", "--org", "acme")
    assert allowed.stdout.count(f"{HOME} 2001:db8::/32\tLet in from the command line.") == 2
    assert "\towner\tpeople\t" in allowed.stdout
    await acme.bz.ip_allowlist.refresh()
    assert not await acme.refused(HOME, acme.owner)
    assert not await acme.refused("2001:db8::1", acme.owner)
    assert await acme.refused(AWAY, acme.member)
    off = await run("disable", "--org", acme.id, "--reason", "Support case 4711")
    assert off.stdout.count("\toff\t") == 4
    assert "within 5 seconds" in off.stderr
    await acme.bz.ip_allowlist.refresh()
    assert not await acme.refused(AWAY, acme.owner)
    with current.acting_as(await acme.caller(acme.owner)):
        [record] = (await acme.bz.audit.search(AuditQuery(action="ip_rules.overridden"))).items
    assert (record.actor.type, record.actor.id) == ("system", "command line")
    assert record.personal["reason"] == "Support case 4711"


@pytest.mark.feature("NET-02")
async def test_the_platform_that_is_locked_gets_open_again(bz: Bartizan, acme: Acme, run: Run) -> None:
    assert "every address" in (await run("allow", HOME)).stderr
    await appoint(bz, acme.owner)
    await acme.rule(AWAY, level="global", confirm=True)
    assert bz.ip_allowlist.refuses_address(HOME)
    await run("allow", HOME)
    await bz.ip_allowlist.refresh()
    assert bz.ip_allowlist.refuses_address(HOME) is None
    assert (await run("list")).stdout.count("\ton\teverybody\tpeople,keys,machines\t") == 2
    await run("disable", "--reason", "enough of that")
    await bz.ip_allowlist.refresh()
    assert bz.ip_allowlist.refuses_address("192.0.2.1") is None
    assert "No rule was on" in (await run("disable", "--reason", "again")).stderr


async def test_what_the_command_does_not_understand_it_says(bz: Bartizan, run: Run) -> None:
    await found(bz, "Acme")
    assert "no organization nowhere" in (await run("list", "--org", "nowhere", code=3)).stderr
    assert "'10.1' is no address" in (await run("allow", "10.1", "--org", "acme", code=2)).stderr
    await run("disable", code=2)
