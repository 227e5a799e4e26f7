"""Every kind of session, engine, thread and event loop that hosts use."""

import asyncio
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest
import sqlmodel
from sqlalchemy import create_engine, event, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from sqlalchemy.pool import NullPool, StaticPool

from bartizan.foundation.context import NobodyAsks, current
from bartizan.foundation.database import Adoption
from bartizan.foundation.database.errors import OutsideOrganization
from tests.harness.hosted.arena import A, B, acting_for
from tests.harness.hosted.worlds import STYLES, World


@pytest.fixture
def world() -> World:
    return STYLES["sqlmodel"]()


@pytest.fixture
def adoption() -> Generator[Adoption]:
    adoption = Adoption()
    yield adoption
    adoption.abandon()


def tags(session: Any, world: World) -> list[str]:
    return list(session.scalars(select(world.Tag.name).order_by(world.Tag.id)))


@pytest.mark.feature("X-22")
@pytest.mark.parametrize("kind", ["Session", "sqlmodel", "scoped", "subclass", "connection"])
async def test_every_synchronous_session_is_held(
    world: World, adoption: Adoption, tmp_path: Path, kind: str
) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/host.db")
    world.metadata.create_all(engine)
    adoption.adopt(*world.models, engine=engine)
    await adoption.start()

    class Own(Session):
        pass

    connection = engine.connect()
    make: dict[str, Any] = {
        "Session": lambda: Session(engine),
        "sqlmodel": lambda: sqlmodel.Session(engine),
        "scoped": scoped_session(sessionmaker(engine)),
        "subclass": sessionmaker(engine, class_=Own),
        "connection": lambda: Session(bind=connection),
    }
    for owner in (A, B):
        with acting_for(owner):
            session = make[kind]()
            session.add(world.Tag(id=1 if owner == A else 2, name=owner))
            session.commit()
            assert tags(session, world) == [owner]
            with pytest.raises(OutsideOrganization):
                session.execute(text("select * from host_tag"))
            session.close()
    connection.close()
    engine.dispose()


@pytest.mark.feature("X-22")
@pytest.mark.parametrize("scoped", [False, True])
async def test_asynchronous_sessions_stamp_and_are_held(
    world: World, adoption: Adoption, tmp_path: Path, *, scoped: bool
) -> None:
    # This driver works in a thread of its own, which has no caller.
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/host.db")
    async with engine.begin() as connection:
        await connection.run_sync(world.metadata.create_all)
    adoption.adopt(*world.models, engine=lambda: engine)
    await adoption.start()
    make: Any = async_sessionmaker(engine, expire_on_commit=False)
    if scoped:
        make = async_scoped_session(make, asyncio.current_task)
    for owner in (A, B):
        with acting_for(owner):
            session = make()
            session.add(world.Tag(id=1 if owner == A else 2, name=owner))
            await session.flush()
            await session.execute(
                text(f"insert into host_tag (id, name) values ({ord(owner[-1]) + 10}, 'text')")
            )
            await session.commit()
            assert list(await session.scalars(select(world.Tag.name).order_by(world.Tag.id))) == [
                owner,
                "text",
            ]
            await session.close()
    await engine.dispose()


@pytest.mark.feature("X-22")
async def test_threads_with_loops_of_their_own_are_held(
    world: World, adoption: Adoption, empty_database_url: str
) -> None:
    # A pooled connection belongs to the loop that opened it: such a host keeps none.
    driver = empty_database_url.replace("sqlite:", "sqlite+aiosqlite:")
    engine = create_async_engine(driver, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(world.metadata.create_all)
    adoption.adopt(*world.models, engine=engine)
    await adoption.start()
    one_at_a_time = threading.Lock()  # SQLite has one writer

    def job(number: int) -> list[str]:
        async def work() -> list[str]:
            owner = A if number % 2 else B
            with current.as_system(owner):
                async with AsyncSession(engine) as session:
                    with one_at_a_time:
                        session.add(world.Tag(id=number, name=owner))
                        await session.commit()
                    return list(await session.scalars(select(world.Tag.name).distinct()))

        return asyncio.run(work())

    with ThreadPoolExecutor(4) as threads:
        found = await asyncio.gather(
            *(asyncio.get_running_loop().run_in_executor(threads, job, number) for number in range(8))
        )
    assert found == [[A] if number % 2 else [B] for number in range(8)]
    with current.as_system(A):
        async with AsyncSession(engine) as session:
            assert len(list(await session.scalars(select(world.Tag)))) == 4
    await engine.dispose()


@pytest.mark.feature("X-22")
async def test_a_thread_has_the_caller_that_was_carried_into_it(
    world: World, adoption: Adoption, tmp_path: Path
) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/host.db")
    world.metadata.create_all(engine)
    adoption.adopt(*world.models, engine=engine)
    await adoption.start()

    def work() -> list[str]:
        with Session(engine) as session:
            session.add(world.Tag(id=1, name="n"))
            session.commit()
            return tags(session, world)

    with acting_for(A), ThreadPoolExecutor(1) as threads:
        with pytest.raises(NobodyAsks, match="as_system"):
            threads.submit(work).result()
        assert threads.submit(copy_context().run, work).result() == ["n"]
    engine.dispose()


@pytest.mark.feature("X-22")
async def test_an_engine_made_later_is_guarded_too(world: World, adoption: Adoption, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/host.db")
    world.metadata.create_all(engine)
    adoption.adopt(*world.models, engine=engine)
    await adoption.start()
    late = create_engine(f"sqlite:///{tmp_path}/host.db").execution_options(isolation_level="AUTOCOMMIT")
    with acting_for(A), late.connect() as connection:
        connection.execute(text("insert into host_tag (id, name) values (1, 'x')"))
        with pytest.raises(OutsideOrganization):
            connection.execute(text("select * from host_tag"))
        whose = text("select name from host_tag where bz_org_id = :owner")
        assert connection.execute(whose, {"owner": A}).scalars().all() == ["x"]
        with pytest.raises(OutsideOrganization):
            connection.execute(whose, {"owner": B})
    other = create_engine("sqlite://", poolclass=StaticPool)
    with other.begin() as connection:
        connection.exec_driver_sql("create table host_tag (id int)")
        with pytest.raises(NobodyAsks):
            connection.exec_driver_sql("select * from host_tag")
        adoption.adopt(world.Tag, engine=engine, elsewhere=[other])
        assert connection.exec_driver_sql("select * from host_tag").all() == []
    for each in (engine, late, other):
        each.dispose()


@pytest.mark.feature("X-22")
async def test_a_rollback_takes_no_stamp_away(
    world: World, adoption: Adoption, empty_database_url: str
) -> None:
    engine = create_async_engine(empty_database_url.replace("sqlite:", "sqlite+aiosqlite:"))
    async with engine.begin() as connection:
        await connection.run_sync(world.metadata.create_all)
    adoption.adopt(*world.models, engine=engine)
    await adoption.start()
    insert = text("insert into host_tag (id, name) values (:id, 'x')")
    with acting_for(A):
        async with engine.connect() as connection:
            await connection.execute(insert, {"id": 1})
            await connection.rollback()
            await connection.execute(insert, {"id": 1})
            savepoint = await connection.begin_nested()
            with acting_for(B):
                await connection.execute(insert, {"id": 2})
            await savepoint.rollback()
            await connection.execute(insert, {"id": 3})
            with adoption.across_tenants():
                await connection.execute(text("insert into host_tag (id, name) values (4, 'x')"))
            await connection.commit()
    with adoption.across_tenants():
        async with engine.connect() as connection:
            found = await connection.execute(text("select id, bz_org_id from host_tag order by id"))
            assert [tuple(row) for row in found] == [(1, A), (3, A), (4, None)]
    await engine.dispose()


@pytest.mark.feature("X-22")
async def test_sqlite_keeps_nothing_but_the_column(world: World, adoption: Adoption, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/host.db")
    world.metadata.create_all(engine)
    seen: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
    adoption.adopt(*world.models, engine=engine)
    await adoption.start()
    with acting_for(A), engine.begin() as connection:
        connection.execute(text("insert into host_tag (id, name) values (1, 'x')"))
    adoption.abandon()
    plain = create_engine(f"sqlite:///{tmp_path}/host.db")
    with plain.connect() as connection:
        kinds = connection.exec_driver_sql("select distinct type from sqlite_master").scalars().all()
        assert set(kinds) == {"table", "index"}
        names = connection.exec_driver_sql("select name from sqlite_master where name like 'bz%'").all()
        assert names == []
        connection.exec_driver_sql("insert into host_tag (id, name) values (2, 'another program')")
    assert not [statement for statement in seen if "TRIGGER" in statement]
    for each in (engine, plain):
        each.dispose()
