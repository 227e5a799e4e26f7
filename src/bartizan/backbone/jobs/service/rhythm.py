"""When a schedule fires: five-field cron in a time zone, or an interval."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from bartizan.backbone.jobs.errors import BadSchedule

_FIELDS = 5


def next_after(
    moment: datetime, *, cron: str | None, every: float | None, zone: str, start: datetime
) -> datetime:
    """Give the first run after ``moment``; an interval counts from ``start``.

    A local time that daylight saving skips fires when the gap ends; one that happens twice fires once.
    """
    if (cron is None) == (every is None):
        raise BadSchedule(field="cron")
    if every is not None:
        if every < 1:
            raise BadSchedule(field="every")
        passed = (moment - start).total_seconds() // every
        return start + timedelta(seconds=every * (max(passed, -1.0) + 1))
    assert cron is not None
    return next(_runs(cron, moment.astimezone(_zone(zone)))).astimezone(UTC)


def _runs(cron: str, moment: datetime) -> Iterator[datetime]:
    if len(cron.split()) != _FIELDS:
        raise BadSchedule(field="cron")
    try:
        yield from CronSim(cron, moment)
    except CronSimError as error:
        raise BadSchedule(field="cron") from error
    raise BadSchedule("The expression never fires.", field="cron")


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadSchedule(field="zone") from error
