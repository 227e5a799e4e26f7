"""Counting in memory: the part of the room that every request passes.

Nothing here waits, locks or writes. What one process holds is bounded:

====================================  ==========  =====================================================
organizations                          settings    further ones count as ``platform``, route ``other``
endpoints and bands, an organization   5,000       further ones count as route ``other``
endpoints and bands, all together      100,000     likewise
endpoints, callers of a day            settings    further ones count as ``other``
single requests, an organization       settings    the oldest go
single requests, all together          20,000      every organization keeps its share of the latest
hours that could not be written        24          the oldest go, which is logged and counted
====================================  ==========  =====================================================
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf

from bartizan.backbone.usage.settings import UsageSettings
from bartizan.backbone.usage.types import ANONYMOUS, OTHER, PLATFORM, Limits
from bartizan.foundation.clock import Clock
from bartizan.foundation.telemetry import Metrics, logger

HOUR, DAY = 3600, 86400
REFUSED = 429
"""Answers with this status use up no quota: whoever is refused shall not pay for it."""
_MOST_CELLS, _MOST_CELLS_EACH = 100_000, 5_000
_MOST_RAW = 20_000
_MOST_REMEMBERED = 500_000
_MOST_SHEETS = 24
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
_CLIENT_ERROR, _SERVER_ERROR = 400, 500
_FIRST_STATUS, _LAST_STATUS = 100, 599
_METHOD, _ROUTE, _CALLER = 16, 200, 100
"""The most letters that these have in the database."""

Cells = dict[tuple[str, str, int, int], list[int]]
"""Requests and microseconds by method, route, status and band of latency."""
People = dict[str | None, list[int]]
"""Requests, microseconds, client errors and server errors by caller."""
Raw = deque[tuple[float, str, str, int, int, str | None, str | None]]
"""Time, method, route, status, microseconds, caller and request, the oldest first."""

_log = logger(__name__)


class Tally:
    """One organization: what it did since that was last taken away, and what is left of its quotas."""

    __slots__ = (
        "active",
        "allow",
        "calm",
        "cells",
        "day",
        "endpoints",
        "limits",
        "org_id",
        "people",
        "raw",
        "seen",
        "shown",
        "spent",
        "used",
    )

    def __init__(self, org_id: str, keep: int) -> None:
        self.org_id = org_id
        self.active = False
        self.cells: Cells = {}
        self.people: People = {}
        self.raw: Raw = deque(maxlen=keep)
        self.shown = 0
        """The day of which ``endpoints`` and ``seen`` are."""
        self.endpoints: set[tuple[str, str, int]] = set()
        self.seen: set[str | None] = set()
        self.day = 0
        """The start of the day of which ``spent`` and ``used`` are."""
        self.spent = 0
        """Requests that count against quotas and are not in ``used`` yet."""
        self.used: tuple[int, int] = (0, 0)
        """Requests of this day and this month over all processes, as of the last writing."""
        self.limits: Limits = {}
        self.allow: float = inf
        """How many may be spent before a hard quota refuses."""
        self.calm: float = inf
        """How many may be spent before any quota has something to say."""


@dataclass(slots=True)
class Sheet:
    """What one organization did in one hour, to be written down."""

    org_id: str
    cells: Cells
    people: People
    raw: Raw


@dataclass(slots=True)
class Book:
    """The sheets of one hour."""

    hour: int
    sheets: Sequence[Sheet]

    @property
    def requests(self) -> int:
        """How many requests are on them."""
        return sum(cell[0] for sheet in self.sheets for cell in sheet.cells.values())


def metered(cells: Cells) -> int:
    """Count the requests that use up quotas."""
    return sum(cell[0] for (_, _, status, _), cell in cells.items() if status != REFUSED)


class Counting:
    """Adds requests up by organization, until somebody takes them away to write them down."""

    def __init__(self, settings: UsageSettings, clock: Clock, metrics: Metrics) -> None:
        self._settings = settings
        self._now: Callable[[], float] = (lambda: clock.now().timestamp()) if clock.steered else time.time
        self._lost = metrics.counter("usage_lost", "Requests whose count was given up.")
        self.tallies: dict[str | None, Tally] = {}
        self._active: list[Tally] = []
        self._cells = 0
        self._singles = 0
        self._remembered = 0
        self.books: deque[Book] = deque()
        """What was taken and is not written yet, the oldest first."""
        self.hour: int = 0
        """The start of the running hour."""
        self.day = 0
        self.month = 0
        self._turn = 0.0
        self.newcomer: Callable[[], None] | None = None
        """Called when an organization turns up of which nothing is known."""

    def add(  # noqa: PLR0917 - called by place: names cost time
        self,
        org_id: str | None,
        caller_id: str | None,
        method: str,
        route: str,
        status: int,
        seconds: float,
        request_id: str | None = None,
    ) -> None:
        """Count one request: whose, by whom, where it went by its route's template, how it ended, how long.

        Never give a path for a route. Costs less than a microsecond for what was seen a moment ago.
        """
        now = self._now()
        if now >= self._turn:
            self.turn(now)
        micros = int(seconds * 1_000_000)
        # The length of a square counts half powers of 2: bands of latency that are 1.41 times as wide each.
        band = (micros * micros).bit_length()
        try:
            tally = self.tallies[org_id]
            cell = tally.cells[method, route, status, band]
            person = tally.people[caller_id]
        except KeyError:
            tally, cell, person = self._meet(org_id, caller_id, method, route, status, band)
        cell[0] += 1
        cell[1] += micros
        person[0] += 1
        person[1] += micros
        if status >= _CLIENT_ERROR:
            person[2 if status < _SERVER_ERROR else 3] += 1
        if status != REFUSED:
            tally.spent += 1
        tally.raw.append((now, method, route, status, micros, caller_id, request_id))
        self._singles += 1
        if self._singles > _MOST_RAW:
            self._even_out()

    @property
    def pending(self) -> int:
        """How many requests are counted in memory only."""
        live = sum(cell[0] for tally in self._active for cell in tally.cells.values())
        return live + sum(book.requests for book in self.books)

    def turn(self, now: float | None = None) -> None:
        """Begin a new hour if it is time: what was counted so far belongs to the one before."""
        now = self._now() if now is None else now
        hour = int(now) // HOUR * HOUR
        if hour == self.hour:
            return
        self.take()
        self.hour = hour
        self.day = hour // DAY * DAY
        self.month = month_of(hour)
        self._turn = float(hour + HOUR)

    def take(self) -> None:
        """Put what was counted so far among the books to be written."""
        if not self._active:
            return
        sheets = [Sheet(t.org_id, t.cells, t.people, t.raw) for t in self._active]
        self.books.append(Book(self.hour, sheets))
        for tally in self._active:
            tally.cells, tally.people, tally.raw = {}, {}, deque(maxlen=self._settings.raw_requests)
            tally.active = False
        self._active = []
        self._cells = self._singles = 0
        if len(self.books) > _MOST_SHEETS:
            given_up = self.books.popleft().requests
            self._lost.add(by=given_up)
            _log.error("usage that could not be written for a day is given up", requests=given_up)

    def _meet(  # noqa: PLR0917 - likewise
        self, org_id: str | None, caller_id: str | None, method: str, route: str, status: int, band: int
    ) -> tuple[Tally, list[int], list[int]]:
        """Make room for what was not there: an organization, an endpoint, a caller."""
        tally = self.tallies.get(org_id)
        if tally is None:
            tally = self._admit(org_id)
            if tally.org_id != (org_id or PLATFORM):
                route = OTHER
        if not tally.active:
            tally.active = True
            self._active.append(tally)
        if tally.shown != (day := self.hour // DAY):
            tally.shown = day
            self._forget(tally)
        cell = tally.cells.get(key := (method, route, status, band))
        if cell is None:
            key = self._endpoint(tally, method, route, status, band)
            cell = tally.cells.get(key)
            if cell is None:
                cell = tally.cells[key] = [0, 0]
                self._cells += 1
        return tally, cell, self._person(tally, caller_id)

    def _person(self, tally: Tally, caller_id: str | None) -> list[int]:
        if caller_id == ANONYMOUS:
            caller_id = None
        person = tally.people.get(caller_id)
        if person is not None:
            return person
        if caller_id not in tally.seen:
            if len(tally.seen) >= self._settings.max_callers or not _plain(caller_id or "", _CALLER):
                caller_id = OTHER
            else:
                tally.seen.add(caller_id)
                self._remembered += 1
        return tally.people.setdefault(caller_id, [0, 0, 0, 0])

    def _endpoint(
        self, tally: Tally, method: str, route: str, status: int, band: int
    ) -> tuple[str, str, int, int]:
        """Say under what to count an endpoint that this window has not seen."""
        if (
            self._cells < _MOST_CELLS
            and len(tally.cells) < _MOST_CELLS_EACH
            and _plain(method, _METHOD)
            and _plain(route, _ROUTE)
            and route != OTHER
            and _FIRST_STATUS <= status <= _LAST_STATUS
        ):
            known = (method, route, status) in tally.endpoints
            if not known and len(tally.endpoints) < self._settings.max_endpoints:
                tally.endpoints.add((method, route, status))
                self._remembered += 1
                known = True
            if known:
                return method, route, status, band
        # What is left can take on some thousand forms, whatever is sent.
        shown = status if status == REFUSED else min(max(status, _FIRST_STATUS), _LAST_STATUS) // 100 * 100
        return method if method in _METHODS else OTHER, OTHER, shown, band

    def _admit(self, org_id: str | None) -> Tally:
        if org_id == PLATFORM:
            org_id = None
        most = self._settings.max_organizations
        if len(self.tallies) >= most:
            self._drop_idle(most // 10 + 1)
            if len(self.tallies) >= most:
                org_id = None
        tally = self.tallies.get(org_id)
        if tally is None:
            tally = self.tallies[org_id] = Tally(org_id or PLATFORM, self._settings.raw_requests)
            if self.newcomer is not None:
                self.newcomer()
        if self._remembered > _MOST_REMEMBERED:
            for other in self.tallies.values():
                self._forget(other)
        return tally

    def _drop_idle(self, enough: int) -> None:
        """Forget organizations that did nothing since the last writing, the longest known first."""
        idle = [key for key, tally in self.tallies.items() if not (tally.active or tally.spent)]
        for key in idle[:enough]:
            self._forget(self.tallies.pop(key))

    def _forget(self, tally: Tally) -> None:
        """Forget which endpoints and callers of an organization were shown apart so far."""
        self._remembered -= len(tally.endpoints) + len(tally.seen)
        tally.endpoints.clear()
        tally.seen.clear()

    def _even_out(self) -> None:
        """Leave each organization its share of the single requests that may wait."""
        share = _MOST_RAW // 2 // max(1, len(self._active))
        self._singles = 0
        for tally in self._active:
            while len(tally.raw) > share:
                tally.raw.popleft()
            self._singles += len(tally.raw)


def _plain(text: str, most: int) -> bool:
    """Tell whether a text can be a column: not too long, and nothing in it that a database would refuse."""
    return len(text) <= most and text.isprintable()


def month_of(moment: int) -> int:
    """Give the start of the month that a moment is in."""
    day = datetime.fromtimestamp(moment, UTC)
    return int(day.replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp())


def next_month(moment: int) -> int:
    """Give the start of the month after that of a moment."""
    return month_of(month_of(moment) + 32 * DAY)
