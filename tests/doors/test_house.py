"""The house as a whole: what it does by itself, and what it refuses to start with."""

from typing import Any

import pytest

from bartizan.backbone.jobs import Worker
from bartizan.foundation.context import current
from bartizan.foundation.errors import Unavailable
from bartizan.house import Bartizan


@pytest.mark.feature("JOB-05", "ID-15")
async def test_the_chores_of_the_house_are_on_the_schedule(bz: Bartizan) -> None:
    await Worker(bz.jobs).run_pending()
    with current.as_system():
        names = {schedule.name for schedule in (await bz.jobs.schedules.list()).items}
    assert {
        "audit.drain",
        "crypto.rotate",
        "email-purge",
        "jobs.sweep",
        "secrets.reseal",
        "sessions.purge",
    } <= names


@pytest.mark.feature("CORE-08", "CORE-15")
async def test_a_database_that_does_not_answer_stops_the_start(bartizan_settings: dict[str, Any]) -> None:
    away = {**bartizan_settings, "database": "postgresql://nobody:hush@127.0.0.1:1/none"}
    bz = Bartizan({**away, "database_options": {"connect_timeout": 1}})
    with pytest.raises(Unavailable) as refused:
        await bz.start()
    assert "hush" not in str(refused.value)
    assert not bz.started
    await bz.stop()
