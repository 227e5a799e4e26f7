"""Records of requests share their writing, and not their fate."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from bartizan.backbone.audit import AuditUnavailable
from bartizan.backbone.audit.service.flights import Flights
from bartizan.backbone.audit.types import Draft


def draft(name: str) -> Draft:
    return Draft(id=name, log_id="org_1", time=datetime.now(UTC), action="request.create", changes={})


class Book:
    """Writes down what comes, unless it is told to break."""

    def __init__(self) -> None:
        self.batches = list[list[str]]()
        self.broken = set[str]()
        self.going = asyncio.Event()
        self.going.set()

    async def write(self, drafts: Sequence[Draft]) -> None:
        await self.going.wait()
        names = [draft.id for draft in drafts]
        if self.broken & set(names):
            raise AuditUnavailable
        self.batches.append(names)


@pytest.mark.feature("AUD-01")
async def test_while_one_batch_is_written_the_next_one_gathers() -> None:
    book = Book()
    flights = Flights(book.write)
    book.going.clear()
    first = asyncio.create_task(flights.add(draft("a")))
    await asyncio.sleep(0)
    rest = [asyncio.create_task(flights.add(draft(name))) for name in "bcdef"]
    await asyncio.sleep(0)
    book.going.set()
    await asyncio.gather(first, *rest)
    assert sorted(name for batch in book.batches for name in batch) == list("abcdef")
    assert len(book.batches) <= 2


@pytest.mark.feature("AUD-01")
async def test_a_record_that_cannot_be_written_harms_none_beside_it() -> None:
    book = Book()
    book.broken = {"c"}
    flights = Flights(book.write)
    answers = await asyncio.gather(*(flights.add(draft(name)) for name in "abcd"), return_exceptions=True)
    assert [isinstance(answer, AuditUnavailable) for answer in answers] == [False, False, True, False]
    assert sorted(name for batch in book.batches for name in batch) == ["a", "b", "d"]
    await flights.add(draft("e"))
    assert book.batches[-1] == ["e"]


@pytest.mark.feature("AUD-01")
async def test_whoever_stops_waiting_leaves_the_others_their_records() -> None:
    book = Book()
    flights = Flights(book.write)
    book.going.clear()
    waiting = [asyncio.create_task(flights.add(draft(name))) for name in "ab"]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    book.going.set()
    await waiting[1]
    assert sorted(name for batch in book.batches for name in batch) == ["a", "b"]
