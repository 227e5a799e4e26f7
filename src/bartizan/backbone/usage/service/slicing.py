"""Cutting what was counted into slices that are written in one go."""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from bartizan.backbone.usage.store import Kind, Rows, Slice
from bartizan.backbone.usage.types import ANONYMOUS
from bartizan.foundation import ids

from .counting import DAY, Book, Raw, Sheet, metered, month_of

_PIECE, _SLICE = 500, 1_000
"""Rows to a slice: some milliseconds of work, so that requests go on in between."""
_TRIMS_REMEMBERED = 20_000


class Slicer:
    """Makes slices, each with a number of its own, so that none is ever written twice."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._sequence = 0
        self._since_trim: dict[str, int] = {}

    def cut(self, book: Book) -> Iterator[Slice]:
        """Cut a book; rows come in the order of their keys, so that replicas never wait in a circle."""
        part = self._next(book)
        for sheet in sorted(book.sheets, key=lambda sheet: sheet.org_id):
            part.spent[sheet.org_id] = metered(sheet.cells)
            for kind, rows in _pieces(sheet, part.hour, part.day):
                part.rows[kind] += rows
                if kind == "bundles":
                    self._note(part, sheet.org_id, rows)
                if len(part) >= _SLICE:
                    yield part
                    part = self._next(book)
        if len(part):
            yield part

    def _next(self, book: Book) -> Slice:
        self._sequence += 1
        return Slice(self._sequence, book.hour, book.hour // DAY * DAY, month_of(book.hour))

    def _note(self, part: Slice, org_id: str, bundles: Rows) -> None:
        """Have an organization's single requests trimmed now and then, as many as come in."""
        if len(self._since_trim) >= _TRIMS_REMEMBERED:
            self._since_trim.clear()  # what is not trimmed here, the schedule trims
        written = self._since_trim.get(org_id, 0) + sum(size for _, _, size, _ in bundles)
        if written * 2 > self._keep:
            part.crowded.add(org_id)
            written = 0
        self._since_trim[org_id] = written


def _pieces(sheet: Sheet, hour: int, day: int) -> Iterator[tuple[Kind, Rows]]:
    org_id, times = sheet.org_id, (("day", day), ("hour", hour))
    cells = [(*key, *sums) for key, sums in sorted(sheet.cells.items())]
    people = sorted((ANONYMOUS if who is None else who, *sums) for who, sums in sheet.people.items())
    for rows in _batches((org_id, *time, *cell) for time in times for cell in cells):
        yield "counts", rows
    for rows in _batches((org_id, *time, *person) for time in times for person in people):
        yield "callers", rows
    for singles in _batches(_short(sheet.raw)):
        body = json.dumps(singles, separators=(",", ":"))
        yield "bundles", [(org_id, ids.new("usg"), len(singles), body)]


def _short(raw: Raw) -> Iterator[tuple[Any, ...]]:
    """Give single requests with no text longer than it should be."""
    for time, method, route, status, micros, caller, request in raw:
        who, which = caller and caller[:100], request and request[:64]
        yield round(time, 3), method[:16], route[:200], status, micros, who, which


def _batches(items: Iterable[tuple[Any, ...]]) -> Iterator[Rows]:
    left = iter(items)
    while batch := list(islice(left, _PIECE)):
        yield batch
