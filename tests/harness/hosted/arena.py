"""Two tenants' rows in a host's own tables, and sessions of the host's own engine."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError, IntegrityError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from bartizan.foundation import errors, ids
from bartizan.foundation.context import Caller, current
from bartizan.foundation.database import Adoption
from bartizan.foundation.database.errors import OutsideOrganization

from .worlds import TABLES, World

A, B = sorted((ids.new("org"), ids.new("org")))
TEAM_OF = {A: "tea_a", B: "tea_b"}
REFUSALS = (
    errors.Refusal,
    OutsideOrganization,
    IntegrityError,
    InvalidRequestError,
    DBAPIError,
    StaleDataError,
)


class Undo(Exception):
    pass


def acting_for(owner: str | None) -> Any:
    team = TEAM_OF.get(owner) if owner else None
    return current.acting_as(Caller(id="usr_x", kind="user", org_id=owner, team_id=team))


class Host:
    """A host on a database, seen through sessions that are its own."""

    def __init__(self, world: World, url: str) -> None:
        self.world = world
        self.engine: Engine | AsyncEngine = (
            create_engine(url) if url.startswith("sqlite") else create_async_engine(url)
        )

    async def run(self, work: Callable[[Session], Any], *, keep: bool = True) -> Any:
        """Do something in a session."""
        if isinstance(self.engine, AsyncEngine):
            async with AsyncSession(self.engine, expire_on_commit=False) as session:
                return await session.run_sync(lambda plain: _finish(plain, work, keep=keep))
        with Session(self.engine) as session:
            return _finish(session, work, keep=keep)

    async def create(self) -> None:
        """Create the host's tables, as it does it itself."""
        if isinstance(self.engine, AsyncEngine):
            async with self.engine.begin() as connection:
                await connection.run_sync(self.world.metadata.create_all)
        else:
            self.world.metadata.create_all(self.engine)

    async def close(self) -> None:
        if isinstance(self.engine, AsyncEngine):
            await self.engine.dispose()
        else:
            self.engine.dispose()


def _finish(session: Session, work: Callable[[Session], Any], *, keep: bool) -> Any:
    result = work(session)
    if keep:
        session.commit()
    else:
        session.rollback()
    return result


@asynccontextmanager
async def seeded(world: World, url: str, **terms: Any) -> AsyncGenerator[tuple[Host, Adoption]]:
    """Give a host with two tenants' rows."""
    host, adoption = Host(world, url), Adoption()
    try:
        adoption.adopt(*world.models, engine=host.engine, **terms)
        await host.create()
        await adoption.start()
        for number, (owner, letter) in enumerate(((A, "A"), (B, "B"))):
            with acting_for(owner):
                await host.run(lambda session, n=number, letter=letter: _seed(session, world, n, letter))  # type: ignore[misc]
        yield host, adoption
    finally:
        adoption.abandon()
        await host.close()


def _seed(session: Session, world: World, number: int, letter: str) -> None:
    proj, tag = world.Proj(id=number + 1, name=f"p{letter}"), world.Tag(id=number + 1, name=f"t{letter}")
    session.add_all([proj, tag])
    session.flush()
    for n in range(3):
        session.add(world.doc(id=number * 10 + n + 1, title=f"{letter}{n}", proj_id=proj.id))
    session.flush()
    doc = session.get_one(world.Doc, number * 10 + 1)
    doc.tags.append(tag)
    session.add(world.Note(doc_id=doc.id, number=1, text=f"{letter}note"))


async def leaks(
    host: Host, ways: dict[str, Callable[[Session, World], bool]], skip: set[str] | None = None
) -> list[str]:
    """Try every way as tenant A; name those that got through or broke in an unforeseen manner."""
    found = []
    for name, way in ways.items():
        if name in (skip or ()):
            continue
        try:
            if await host.run(lambda session, way=way: way(session, host.world), keep=False):  # type: ignore[misc]
                found.append(name)
        except REFUSALS:
            pass
        except Exception as error:  # noqa: BLE001 - named with the way, and the rest is tried all the same
            found.append(f"{name}: {error!r:.200}")
    return found


__all__ = ["TABLES", "A", "B", "Host", "Undo", "acting_for", "leaks", "seeded"]
