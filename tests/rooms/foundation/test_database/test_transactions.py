"""Transactions: who joins whom, what runs around the commit, and what an error undoes."""

import asyncio
from collections.abc import AsyncGenerator
from contextvars import ContextVar

import pytest
from sqlalchemy import Connection, MetaData, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from bartizan.foundation.database import Database, Table
from bartizan.foundation.database.errors import (
    BadDatabaseUrl,
    DatabaseReadOnly,
    NoTransaction,
    TransactionDoomed,
)


class Own(Table):
    __abstract__ = True
    metadata = MetaData()


class Coin(Own):
    __tablename__ = "bz_coins"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    face: Mapped[str] = mapped_column(default="heads")


@pytest.fixture
async def bank(empty_database_url: str) -> AsyncGenerator[Database]:
    database = Database(empty_database_url)
    await database.create_tables(Own.metadata)
    yield database
    await database.close()


async def coins(bank: Database) -> list[int]:
    async with bank.reading() as session:
        return list((await session.scalars(select(Coin.id).order_by(Coin.id))).all())


def add(number: int) -> "Adding":
    return Adding(number)


class Adding:
    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, connection: Connection) -> int:
        connection.execute(Coin.__table__.insert(), {"id": self.number})  # type: ignore[attr-defined]
        return self.number


async def test_the_outermost_block_commits(bank: Database) -> None:
    async with bank.transaction() as outer:
        async with bank.transaction() as inner:
            assert inner is outer
            inner.add(Coin(id=1))
        async with bank.reading() as reading:
            assert await reading.get(Coin, 1)
    assert await coins(bank) == [1]


@pytest.mark.feature("X-13")
async def test_an_error_undoes_everything(bank: Database) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        async with bank.transaction() as session:
            session.add(Coin(id=1))
            await session.flush()
            1 / 0  # noqa: B018
    assert await coins(bank) == []


async def test_an_error_that_crosses_an_inner_block_dooms_the_outer_one(bank: Database) -> None:
    ran: list[str] = []
    with pytest.raises(TransactionDoomed):  # noqa: PT012
        async with bank.transaction() as session:
            session.add(Coin(id=1))
            bank.before_commit(lambda: ran.append("before"))
            bank.after_commit(lambda: ran.append("after"))
            try:
                async with bank.transaction():
                    raise KeyError  # noqa: TRY301
            except KeyError:
                pass
    assert await coins(bank) == []
    assert ran == []


async def test_an_error_inside_a_savepoint_undoes_that_alone(bank: Database) -> None:
    ran: list[str] = []
    async with bank.transaction() as session:
        session.add(Coin(id=1))
        try:
            async with bank.savepoint():
                session.add(Coin(id=2))
                bank.after_commit(lambda: ran.append("lost"))
                async with bank.transaction():
                    raise KeyError  # noqa: TRY301
        except KeyError:
            pass
        async with bank.savepoint():
            session.add(Coin(id=3))
            bank.after_commit(lambda: ran.append("kept"))
    assert await coins(bank) == [1, 3]
    assert ran == ["kept"]


async def test_an_error_caught_inside_a_savepoint_still_undoes_it(bank: Database) -> None:
    async with bank.transaction() as session:
        session.add(Coin(id=1))
        with pytest.raises(TransactionDoomed):  # noqa: PT012
            async with bank.savepoint():
                session.add(Coin(id=2))
                try:
                    async with bank.transaction():
                        raise KeyError  # noqa: TRY301
                except KeyError:
                    pass
    assert await coins(bank) == [1]


async def test_a_statement_that_fails_in_a_savepoint_leaves_the_rest_usable(bank: Database) -> None:
    async with bank.transaction() as session:
        session.add(Coin(id=1))
        await session.flush()
        with pytest.raises(IntegrityError):
            async with bank.savepoint():
                await (await session.connection()).run_sync(add(1))
        session.add(Coin(id=2))
    assert await coins(bank) == [1, 2]


@pytest.mark.feature("X-13", "AUD-12")
async def test_hooks_before_the_commit_run_inside_and_may_add_hooks(bank: Database) -> None:
    order: list[str] = []

    def first() -> None:
        order.append("first")
        bank.before_commit(last)

    async def last() -> None:
        async with bank.transaction() as session:
            session.add(Coin(id=2))
        order.append("last")

    async with bank.transaction() as session:
        bank.before_commit(first)
        bank.after_commit(lambda: order.append("after"))
        session.add(Coin(id=1))
        order.append("body")
    assert order == ["body", "first", "last", "after"]
    assert await coins(bank) == [1, 2]


@pytest.mark.feature("X-13", "AUD-12")
async def test_a_hook_before_the_commit_that_fails_undoes_everything(bank: Database) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        async with bank.transaction() as session:
            session.add(Coin(id=1))
            bank.before_commit(lambda: 1 // 0)  # type: ignore[arg-type,return-value]
    assert await coins(bank) == []


@pytest.mark.feature("X-13")
async def test_hooks_after_the_commit_see_it_durable_and_their_errors_are_logged(
    bank: Database, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[list[int]] = []

    async def look() -> None:
        seen.append(await coins(bank))

    async with bank.transaction() as session:
        session.add(Coin(id=1))
        bank.after_commit(lambda: 1 // 0)  # type: ignore[arg-type,return-value]
        bank.after_commit(look)
    assert seen == [[1]]
    assert "A hook failed after the commit" in caplog.text


async def test_a_hook_needs_an_open_transaction(bank: Database) -> None:
    for register in (bank.before_commit, bank.after_commit):
        with pytest.raises(NoTransaction):
            register(lambda: None)
    with pytest.raises(NoTransaction):
        async with bank.savepoint():
            pass
    assert not bank.in_transaction


async def test_a_child_task_has_a_transaction_of_its_own(bank: Database) -> None:
    async def child() -> None:
        assert not bank.in_transaction
        async with bank.transaction() as session:
            session.add(Coin(id=2))

    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        async with bank.transaction() as session:
            session.add(Coin(id=1))
            task = asyncio.create_task(child())
            1 / 0  # noqa: B018
    await task
    assert await coins(bank) == [2]


async def test_a_plain_function_runs_durably_and_gives_its_result(bank: Database) -> None:
    assert await asyncio.gather(*(bank.write(add(n)) for n in range(150))) == list(range(150))
    assert await coins(bank) == list(range(150))


async def test_a_plain_function_that_fails_harms_no_neighbour(bank: Database) -> None:
    results = await asyncio.gather(*(bank.write(add(n // 2)) for n in range(20)), return_exceptions=True)
    assert [isinstance(result, IntegrityError) for result in results] == [False, True] * 10
    assert await coins(bank) == list(range(10))


@pytest.mark.feature("X-13")
async def test_a_plain_function_joins_the_open_transaction(bank: Database) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        async with bank.transaction():
            await bank.write(add(1))
            1 / 0  # noqa: B018
    assert await coins(bank) == []


async def test_a_plain_function_sees_its_own_callers_context(bank: Database) -> None:
    current_name: ContextVar[str] = ContextVar("name")

    def who(connection: Connection) -> str:
        connection.execute(select(func.count(Coin.id)))
        return current_name.get()

    async def ask(name: str) -> str:
        current_name.set(name)
        return await bank.write(who)

    assert [*await asyncio.gather(ask("ann"), ask("bob"), ask("eve"))] == ["ann", "bob", "eve"]


async def test_a_cancelled_transaction_leaves_nothing_and_loses_no_turn(bank: Database) -> None:
    inside = asyncio.Event()

    async def stuck(number: int) -> None:
        async with bank.transaction() as session:
            session.add(Coin(id=number))
            await session.flush()
            inside.set()
            await asyncio.sleep(60)

    running = asyncio.create_task(stuck(1))
    await inside.wait()
    waiting = asyncio.create_task(bank.write(add(2)))
    queued = asyncio.create_task(stuck(3))
    await asyncio.sleep(0.05)
    queued.cancel()
    running.cancel()
    assert await waiting == 2
    for task in (running, queued):
        with pytest.raises(asyncio.CancelledError):
            await task
    await bank.write(add(4))
    assert await coins(bank) == [2, 4]


async def test_a_reading_block_cannot_write(bank: Database) -> None:
    async with bank.reading() as session:
        session.add(Coin(id=1))
        with pytest.raises(DatabaseReadOnly):
            await session.flush()
    assert await coins(bank) == []


async def test_a_database_names_itself_without_credentials() -> None:
    database = Database("postgresql://ann:s3cret@db.acme.example/app?password=s3cret2")
    assert "s3cret" not in repr(database) + str(database.settings) + repr(database.engine.pool)
    assert repr(database) == "Database(postgresql, 'app' at db.acme.example)"
    await database.close()


@pytest.mark.parametrize("url", ["mysql://ann:s3cret@db/app", "nonsense s3cret", "postgresql//ann:s3cret@db"])
def test_a_url_that_cannot_be_read_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(BadDatabaseUrl) as refusal:
        Database(url)
    assert "s3cret" not in str(refusal.value)
    assert refusal.value.__cause__ is None
