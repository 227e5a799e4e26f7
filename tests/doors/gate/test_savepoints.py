"""What a savepoint undoes leaves no trace: no fact, no record, no job."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from bartizan.backbone.audit import AuditQuery
from bartizan.backbone.jobs import Worker
from bartizan.doors.testing import Cast
from bartizan.foundation.capability import Event
from bartizan.foundation.context import current
from bartizan.house import Bartizan


@dataclass(frozen=True, slots=True, kw_only=True)
class StoneLaid(Event):
    """A stone was laid."""

    target: ClassVar[str | None] = "stone"

    stone: str


class Slipped(Exception):
    """The stone slipped."""


@pytest.mark.feature("EVT-08", "AUD-12", "X-13")
async def test_only_what_was_kept_is_told_recorded_and_done(bz: Bartizan, cast: Cast) -> None:
    org = await cast.organization()
    done: list[str] = []

    async def lay(payload: dict[str, Any], _job: object) -> None:
        done.append(payload["stone"])

    bz.jobs.handler("lay", lay)
    with current.as_system(org):
        async with bz.database.transaction():
            await bz.events.announce(StoneLaid(stone="first"))
            with suppress(Slipped):
                async with bz.database.savepoint():
                    await bz.events.announce(StoneLaid(stone="lost"))
                    await bz.jobs.enqueue("lay", {"stone": "lost"})
                    raise Slipped
            await bz.events.announce(StoneLaid(stone="second"))
            await bz.jobs.enqueue("lay", {"stone": "second"})
        told = [event.data["stone"] for event in (await bz.events.list(type="stone.laid")).items]
        kept = [fact.sequence for fact in (await bz.events.list()).items]
    assert told == ["second", "first"]
    assert kept == sorted(kept, reverse=True)
    assert kept == list(range(kept[0], 0, -1))
    await Worker(bz.jobs).run_pending()
    assert done == ["second"]
    with current.as_system(org):
        records = (await bz.audit.search(AuditQuery(action="stone.laid"))).items
    assert [record.target.id for record in records if record.target] == ["second", "first"]
