"""What limits refused: counted in memory, written down now and then, told when it is much."""

from datetime import datetime

from bartizan.backbone.events import Events
from bartizan.backbone.limits.events import LimitsExceeded
from bartizan.backbone.limits.settings import LimitsSettings
from bartizan.backbone.limits.store import EveryLimit
from bartizan.backbone.limits.types import PLATFORM, Bucket, Hit
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import current
from bartizan.foundation.database import Database

_MOST_HITS = 2_000
_MOST_OF_ONE = 100
_MINUTE = 60.0


class Violations:
    """Adds up refusals by limit and minute.

    Between two flushes at most 2,000 limits are told apart, and at most 100 of one organization and scope;
    what is beyond is counted without saying whom it hit. While nothing can be written, what is beyond 6,000
    is not recorded; the metric counts it still.
    """

    def __init__(self, database: Database, events: Events, settings: LimitsSettings, clock: Clock) -> None:
        self._database = database
        self._events = events
        self._settings = settings
        self._clock = clock
        self._store = EveryLimit(database)
        self._hits: dict[Hit, tuple[int, str]] = {}
        self._told_apart: dict[tuple[str, str], int] = {}

    def note(self, bucket: Bucket) -> None:
        """Count one refusal."""
        minute = self._clock.now().replace(second=0, microsecond=0)
        self._add(Hit(bucket.org_id or PLATFORM, minute, bucket.name, bucket.target), 1, str(bucket.rate))

    async def flush(self) -> None:
        """Write down what waits; announce what is much. After a failure it goes on waiting.

        A flush that is cancelled may have been written, so its refusals are not counted again.
        """
        if not self._hits:
            return
        hits, self._hits, self._told_apart = self._hits, {}, {}
        try:
            with current.as_system(name="limits"):
                async with self._database.transaction():
                    sums = await self._store.record(hits)
                    for (org_id, scope, minute), count in sorted(sums.items()):
                        if count >= self._settings.alert_after:
                            await self._tell(org_id, scope, minute, count)
                    orgs = sorted({hit.org_id for hit in hits})
                    await self._store.keep_newest(orgs, self._settings.keep_violations)
        except Exception:
            for hit, (count, rate) in hits.items():
                self._add(hit, count, rate)
            raise

    def _add(self, hit: Hit, count: int, rate: str) -> None:
        before = self._hits.get(hit)
        if before is None:
            of_one = (hit.org_id, hit.scope)
            known = self._told_apart.get(of_one, 0)
            if known >= _MOST_OF_ONE or len(self._hits) >= _MOST_HITS:
                everyone = PLATFORM if len(self._hits) >= 2 * _MOST_HITS else hit.org_id
                hit = Hit(everyone, hit.minute, hit.scope, "")
                before = self._hits.get(hit)
                if before is None and len(self._hits) >= 3 * _MOST_HITS:
                    return
            else:
                self._told_apart[of_one] = known + 1
        self._hits[hit] = ((before[0] if before else 0) + count, rate)

    async def _tell(self, org_id: str, scope: str, minute: datetime, count: int) -> None:
        if not await self._store.my_turn(org_id, scope, self._clock.now(), _MINUTE):
            return
        event = LimitsExceeded(
            scope=scope, refused=count, minute=minute, threshold=self._settings.alert_after
        )
        await self._events.announce(event, org_id=None if org_id == PLATFORM else org_id)
