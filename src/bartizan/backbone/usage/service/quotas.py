"""Quotas: how many requests a plan has for a day and for a month."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil, inf

from bartizan.backbone.events import Events
from bartizan.backbone.usage.errors import QuotaUsedUp
from bartizan.backbone.usage.events import QuotaExceeded, QuotaNeared
from bartizan.backbone.usage.settings import UsageSettings
from bartizan.backbone.usage.store import Slice, Totals, UsageStore, UsageWriter
from bartizan.backbone.usage.types import PLATFORM, Allowances, Limits, Org, Period, Quota
from bartizan.foundation.clock import Clock, Recent
from bartizan.foundation.context import current
from bartizan.foundation.database import Database
from bartizan.foundation.errors import BartizanError
from bartizan.foundation.telemetry import logger

from .access import reach
from .counting import DAY, Counting, Tally, metered, next_month

_TOLD_REMEMBERED = 100_000
_HUNDRED = 100

_log = logger(__name__)


@dataclass(frozen=True, slots=True)
class _Rule:
    """One resource of a plan that is a quota."""

    resource: str
    period: Period
    hard: bool

    def used(self, tally: Tally) -> int:
        """Say how much of it an organization has used, apart from what is spent since."""
        return tally.used[0 if self.period == "day" else 1]


# Of those that are used up, a refusal names the last: what takes longest to begin anew.
_RULES = (
    _Rule("requests_per_day_soft", "day", hard=False),
    _Rule("requests_per_month_soft", "month", hard=False),
    _Rule("requests_per_day", "day", hard=True),
    _Rule("requests_per_month", "month", hard=True),
)


class Quotas:
    """Quotas of requests by day and by month, in UTC: ``bz.usage.quotas``.

    A plan names them among its limits: ``requests_per_day`` and ``requests_per_month`` are hard, what goes
    beyond is refused with 429; with ``_soft`` after the name they only mark the answer and announce a fact.

    What counts is what this process has counted beside the total that all processes had written when it last
    wrote. So with several replicas up to one flush of each may go beyond a quota, and requests that are
    under way when it is reached are let through.
    """

    def __init__(
        self,
        database: Database,
        events: Events,
        counting: Counting,
        settings: UsageSettings,
        *,
        clock: Clock,
        allowances: Allowances | None,
    ) -> None:
        self._database = database
        self._events = events
        self._counting = counting
        self._tallies = counting.tallies
        self._writer = UsageWriter(database)
        self._settings = settings
        self._clock = clock
        self._allowances = allowances
        self._limits: Recent[str, Limits] = Recent(clock)
        self._told: set[tuple[str, str, int, int, str]] = set()
        events.listen("organization.planned", lambda _: self._limits.drop())

    def refusal(self, org_id: str | None) -> QuotaUsedUp | None:
        """Give the refusal that a request of this organization meets, or none. Takes no I/O."""
        tally = self._tallies.get(org_id)
        if tally is None or tally.spent < tally.allow:
            return None
        return self._refuse(tally)

    def headers(self, org_id: str | None) -> Sequence[tuple[bytes, bytes]]:
        """Give what an answer to this organization says of quotas: none as a rule. Takes no I/O.

        ``X-Quota-Exceeded`` names the quotas that are used up, soft ones too.
        """
        tally = self._tallies.get(org_id)
        if tally is None or tally.spent < tally.calm:
            return ()
        self._renew(tally)
        used_up = [rule.resource for rule, limit in _rules(tally.limits) if _left(tally, rule, limit) <= 0]
        return ((b"x-quota-exceeded", ", ".join(used_up).encode()),) if used_up else ()

    async def list(self, org: Org = None) -> Sequence[Quota]:
        """List the quotas of this organization and how much of them is used; none is no limit."""
        org_id = reach(org)
        if self._allowances is None or org_id in {None, PLATFORM}:
            return []
        assert org_id is not None
        self._counting.turn()
        limits = (await self._allowances([org_id])).get(org_id, {})
        starts = {"day": self._counting.day, "month": self._counting.month}
        totals = await UsageStore(self._database, org_id).totals(list(starts.values()))
        return [
            Quota(
                resource=rule.resource,
                period=rule.period,
                hard=rule.hard,
                limit=limit,
                used=totals.get((rule.period, starts[rule.period]), 0),
                resets_at=self._end(rule.period),
            )
            for rule, limit in _rules(limits)
        ]

    async def learn(self, part: Slice, totals: Totals) -> None:
        """Take notice of what was written, and of what all processes have written so far."""
        self._counting.turn()
        current_day = part.day == self._counting.day
        tallies: list[Tally] = []
        for org_id, requests in part.spent.items():
            tally = self._tallies.get(org_id)
            if tally is None:
                continue
            self._renew(tally)
            day, month = tally.used
            if current_day:
                day = totals.get((org_id, "day"), day)
                tally.spent = max(0, tally.spent - requests)
            if part.month == self._counting.month:
                month = totals.get((org_id, "month"), month)
            tally.used = day, month
            tallies.append(tally)
        try:
            await self._look_up(tallies)
            for tally in tallies:
                self._settle(tally)
                await self._tell(tally)
        except BartizanError as error:
            _log.warning("quotas could not be looked up", code=error.code)

    async def _look_up(self, tallies: Collection[Tally]) -> None:
        """Learn what the plans allow, where that was not asked within the last seconds."""
        missing = [tally.org_id for tally in tallies if self._limits.get(tally.org_id) is None]
        if missing and self._allowances is not None:
            generation = self._limits.generation
            found = await self._allowances(missing)
            for org_id in missing:
                self._limits.put(org_id, found.get(org_id, {}), generation)
        for tally in tallies:
            if (limits := self._limits.get(tally.org_id)) is not None:
                tally.limits = limits

    def _settle(self, tally: Tally) -> None:
        """Work out how much may be spent before there is something to say."""
        tally.allow = tally.calm = inf
        for rule, limit in _rules(tally.limits):
            left = limit - rule.used(tally)
            tally.calm = min(tally.calm, left)
            if rule.hard:
                tally.allow = min(tally.allow, left)

    def _renew(self, tally: Tally) -> None:
        """Begin a new day, and perhaps a new month, if there is one."""
        self._counting.turn()
        day, month = self._counting.day, self._counting.month
        if tally.day == day:
            return
        tally.used = 0, tally.used[1] if tally.day >= month else 0
        tally.day = day
        tally.spent = metered(tally.cells)  # what was counted before the turn has been taken away
        self._settle(tally)

    def _refuse(self, tally: Tally) -> QuotaUsedUp | None:
        self._renew(tally)
        if tally.spent < tally.allow:
            return None
        refusal = None
        for rule, limit in _rules(tally.limits):
            if rule.hard and _left(tally, rule, limit) <= 0:
                resets_at = self._end(rule.period)
                refusal = QuotaUsedUp(
                    f"The plan includes {limit} requests a {rule.period}, and they are used up.",
                    scope="quota",
                    resource=rule.resource,
                    limit=limit,
                    retry_after=max(1, ceil((resets_at - self._clock.now()).total_seconds())),
                    resets_at=resets_at.isoformat(),
                )
        return refusal

    def _end(self, period: Period) -> datetime:
        moment = self._counting.day + DAY if period == "day" else next_month(self._counting.month)
        return datetime.fromtimestamp(moment, UTC)

    async def _tell(self, tally: Tally) -> None:
        """Announce quotas that are nearly or wholly used: once for each period, whichever process notices."""
        for rule, limit in _rules(tally.limits):
            used = rule.used(tally)
            told = "exceeded" if used >= limit else "neared"
            if used * _HUNDRED < limit * self._settings.warn_percent:
                continue
            start = self._counting.day if rule.period == "day" else self._counting.month
            if (key := (tally.org_id, rule.resource, start, limit, told)) in self._told:
                continue
            event = self._event(rule, limit, used)
            with current.as_system(tally.org_id, "usage"):
                async with self._database.transaction():
                    if await self._writer.mark(*key):
                        await self._events.announce(event)
            if len(self._told) >= _TOLD_REMEMBERED:
                self._told.clear()
            self._told.add(key)

    def _event(self, rule: _Rule, limit: int, used: int) -> QuotaNeared | QuotaExceeded:
        resets_at = self._end(rule.period)
        if used < limit:
            return QuotaNeared(resource=rule.resource, limit=limit, used=used, resets_at=resets_at)
        return QuotaExceeded(
            resource=rule.resource, limit=limit, used=used, hard=rule.hard, resets_at=resets_at
        )


def _rules(limits: Limits) -> Iterator[tuple[_Rule, int]]:
    for rule in _RULES:
        if (limit := limits.get(rule.resource)) is not None:
            yield rule, limit


def _left(tally: Tally, rule: _Rule, limit: int) -> int:
    return limit - rule.used(tally) - tally.spent
