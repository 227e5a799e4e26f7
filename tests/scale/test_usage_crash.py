"""``kill -9`` while requests are counted: no more is lost than was said to be in memory, nothing twice."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bartizan.backbone.events import Events
from bartizan.backbone.usage import Usage, UsageSettings
from bartizan.foundation import ids
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import current
from bartizan.foundation.database import Database
from tests.harness.processes import surroundings, words

PROGRAM = Path(__file__).parent / "usage_program.py"


def last_words(log: Path) -> tuple[int, int]:
    """Give how many requests a process had counted, and how many of them in memory only."""
    whole = [line.split() for line in words(log).splitlines(keepends=True) if line.endswith("\n")]
    added, pending = [line for line in whole if len(line) == 2 and line[0].isdigit()][-1]
    return int(added), int(pending)


@pytest.mark.feature("RATE-04")
@pytest.mark.timeout(300)
async def test_a_killed_process_loses_at_most_what_it_had_not_written(
    tmp_path: Path, database_url: str
) -> None:
    clock, org_id = Clock(), ids.new("org")
    database = Database(database_url)
    usage = Usage(database, Events(database, clock=clock), clock=clock)

    async def written() -> int:
        with current.as_system(org_id):
            return (await usage.summary()).requests

    sure = most = 0
    for life in range(3):
        log = tmp_path / f"{life}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(  # noqa: ASYNC220 - it must outlive this coroutine's awaits
                [sys.executable, str(PROGRAM), database_url, org_id],
                env=surroundings(), stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            async with asyncio.timeout(90):
                began = await written()
                while await written() < began + 50:
                    assert process.poll() is None, words(log)
                    await asyncio.sleep(0.02)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        added, pending = last_words(log)
        sure, most = sure + added - pending, most + added + 1
        assert sure <= await written() <= most
    await database.close()


def test_no_setting_keeps_counts_in_memory_for_more_than_2_seconds() -> None:
    assert UsageSettings().flush_seconds <= 2
    with pytest.raises(ValueError, match="less than or equal to 2"):
        UsageSettings(flush_seconds=2.1)
