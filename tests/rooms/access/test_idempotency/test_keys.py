"""Keys: whose they are, how long they live, and what becomes of a dead process's."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Connection, text

from bartizan.access.idempotency import (
    Answer,
    AnswerNotKept,
    Claim,
    Idempotency,
    IdempotencyKeyReused,
    IdempotencySettings,
    RequestUnderWay,
)
from bartizan.access.idempotency.types import Owner
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller, current
from bartizan.foundation.crypto import Keyring
from bartizan.foundation.database import Database
from tests.harness.keys import keyring, newer

from .conftest import look, until

ADA = Caller(id="usr_ada", kind="user", org_id="org_acme", user_id="usr_ada")
OTHERS = (
    replace(ADA, id="usr_bob"),
    replace(ADA, org_id="org_globex"),
    replace(ADA, org_id=None),
    replace(ADA, org_id="org_none"),
    replace(ADA, kind="key"),
    replace(ADA, actor_id="usr_bob"),
)
TEA = Answer(201, ((b"x-order", b"1"),), b"tea")


class Room:
    """The room alone, on a clock that the test moves."""

    def __init__(self, database: Database, clock: ManualClock, ring: Keyring | None = None) -> None:
        settings = IdempotencySettings(max_keys=10, wait=0, lease=30, hours=24)
        self.keys = Idempotency(database, ring or keyring(), settings, clock=clock)

    async def claim(self, key: str, caller: Caller = ADA, request: bytes = b"request") -> Claim | Answer:
        with current.acting_as(caller):
            return await self.keys.claim(key, request)

    async def take(self, key: str, caller: Caller = ADA, request: bytes = b"request") -> Claim:
        claim = await self.claim(key, caller, request)
        assert isinstance(claim, Claim)
        return claim

    async def do(self, key: str, caller: Caller = ADA, answer: Answer | None = TEA) -> None:
        assert await self.keep(await self.take(key, caller), answer, caller)

    async def keep(self, claim: Claim, answer: Answer | None = TEA, caller: Caller = ADA) -> bool:
        with current.acting_as(caller):
            return await self.keys.keep(claim, answer)


@pytest.fixture
async def make(database: Database, clock: ManualClock) -> Callable[..., Room]:
    return lambda ring=None: Room(database, clock, ring)


@pytest.fixture
async def room(make: Callable[..., Room]) -> Room:
    return make()


@pytest.mark.feature("RATE-07")
async def test_nobody_meets_the_answer_of_another_caller_or_organization(room: Room) -> None:
    await room.do("k1")
    for caller in OTHERS:
        await room.do("k1", caller, Answer(200, (), caller.id.encode()))
    assert await room.claim("k1") == TEA
    for caller in OTHERS:
        found = await room.claim("k1", caller)
        assert isinstance(found, Answer)
        assert found.body == caller.id.encode()


async def test_a_key_is_of_one_team(room: Room) -> None:
    await room.do("k1")
    with pytest.raises(IdempotencyKeyReused):
        await room.claim("k1", replace(ADA, team_id="tem_sales"))


@pytest.mark.feature("RATE-07", "TEN-01")
async def test_the_table_tells_neither_keys_nor_requests_nor_answers(room: Room, database: Database) -> None:
    claim = await room.take("secret-key", request=b"secret-request")
    await room.keep(claim, Answer(200, ((b"location", b"/secret-place"),), b"secret-body"))
    [row] = await look(database, "select * from bz_idempotency")
    assert "secret" not in repr(row).lower()


async def test_another_row_does_not_open_under_this_key(room: Room, database: Database) -> None:
    await room.do("k1")
    await room.do("k2", answer=Answer(200, (), b"other"))

    def swap(connection: Connection) -> None:
        connection.execute(
            text("update bz_idempotency set answer = (select answer from bz_idempotency where id <> :id)"
                 " where id = :id"),
            {"id": room_id},
        )  # fmt: skip

    room_id = Owner.of(ADA).name("k1")
    with current.as_system():
        await database.write(swap)
    assert await room.claim("k2") == Answer(200, (), b"other")
    with pytest.raises(AnswerNotKept):
        await room.claim("k1")


@pytest.mark.feature("RATE-07")
async def test_an_answer_that_was_not_kept_is_not_made_again(room: Room) -> None:
    await room.do("k1", answer=None)
    with pytest.raises(AnswerNotKept):
        await room.claim("k1")
    with pytest.raises(IdempotencyKeyReused):
        await room.claim("k1", request=b"another")


@pytest.mark.feature("RATE-07")
async def test_a_key_is_forgotten_after_its_time(room: Room, clock: ManualClock, database: Database) -> None:
    await room.do("k1")
    clock.advance(24 * 3600 - 1)
    assert await room.claim("k1") == TEA
    clock.advance(2)
    claim = await room.take("k1", request=b"another")
    await room.keep(claim, Answer(200, (), b"new"))
    await room.do("k2")
    clock.advance(24 * 3600 + 1)
    under_way = await room.take("k3")
    await room.keys.prune()
    assert await look(database, "select count(*) from bz_idempotency") == [(1,)]
    await room.keys.release(under_way)


@pytest.mark.feature("RATE-07")
async def test_the_key_of_a_dead_process_is_free_when_its_lease_ends(
    room: Room, make: Callable[..., Room], clock: ManualClock
) -> None:
    dead = await room.take("k1")
    other = make()
    with pytest.raises(RequestUnderWay):
        await other.claim("k1")
    clock.advance(31)
    with pytest.raises(IdempotencyKeyReused):
        await room.claim("k1", request=b"another")
    second = await other.take("k1")
    assert not await room.keep(dead, Answer(200, (), b"late"))
    await room.keys.release(dead)
    with pytest.raises(RequestUnderWay):
        await room.claim("k1")
    assert await other.keep(second)
    assert await room.claim("k1") == TEA


async def test_a_process_that_lives_prolongs_its_leases(
    database: Database, clock: ManualClock, make: Callable[..., Room]
) -> None:
    room = make()
    room.keys.settings = IdempotencySettings(lease=1, wait=0)
    claim = await room.take("k1")
    clock.advance(10)
    until_ = "select lease_until from bz_idempotency"
    [(before,)] = await look(database, until_)
    async with asyncio.timeout(30):
        while (await look(database, until_))[0][0] == before:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    with pytest.raises(RequestUnderWay):
        await make().claim("k1")
    await room.keep(claim)
    await until(lambda: room.keys._heart is None or room.keys._heart.done())
    await room.do("k2")
    await room.keys.close()
    await room.keys.close()


@pytest.mark.feature("RATE-07")
async def test_a_caller_has_so_many_keys_and_no_more(
    room: Room, clock: ManualClock, database: Database
) -> None:
    under_way = await room.take("first")
    for number in range(30):
        clock.advance(1)
        await room.do(f"k{number}")
    await room.do("k1", OTHERS[0])
    mine = "select count(*) from bz_idempotency where caller_id = 'user:usr_ada'"
    assert await look(database, mine) == [(11,)]
    assert await room.claim("k29") == TEA
    await room.keys.release(under_way)


async def test_secret_keys_can_be_rotated(room: Room, make: Callable[..., Room]) -> None:
    await room.do("k1")
    both, new = newer()
    assert await make(both).claim("k1") == TEA
    with pytest.raises(IdempotencyKeyReused):
        await make(new).claim("k1")
    after = make(both)
    await after.do("k2")
    assert await make(new).claim("k2") == TEA


async def test_a_released_key_is_free_at_once_for_who_waits(
    make: Callable[..., Room], clock: ManualClock
) -> None:
    here, there = make(), make()
    here.keys.settings = there.keys.settings = IdempotencySettings(wait=30)
    claim = await here.take("k1")
    waiting = [asyncio.create_task(one.claim("k1")) for one in (here, there, here, there)]
    await asyncio.sleep(0)
    await here.keys.release(claim)
    done, rest = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    [second] = [task.result() for task in done if isinstance(task.result(), Claim)]
    assert isinstance(second, Claim)
    await here.keep(second)
    assert [await task for task in rest] == [TEA] * 3


async def test_an_unknown_form_of_answer_is_not_read() -> None:
    assert Answer.unpack(TEA.pack()) == TEA
    with pytest.raises(ValueError, match="form 9"):
        Answer.unpack(b"\x09" + TEA.pack()[1:])
