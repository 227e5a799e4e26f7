"""Puts owners to the rows of models that somebody else wrote."""

import asyncio
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.ext.asyncio import AsyncEngine

from bartizan.foundation.database.errors import NotAdoptable

from .findings import look
from .guard import HostGuard
from .owners import Owner, across_tenants
from .places import fill, follow, make_ready, refuse_unowned
from .register import Register
from .stamps import Stamps
from .tables import Adopted
from .types import AnyEngine, By, Engines, Finding, Rule
from .wall import HostWall


class _Kind:
    """All that is adopted for one kind of owner, and the two walls around it."""

    def __init__(self, by: By) -> None:
        owner = Owner(by)
        self.register = Register(owner)
        self.stamps = Stamps(owner)
        self.wall = HostWall(self.register)
        self.guard = HostGuard(self.register, self.stamps, owns=self.wall.owns)
        self.wall.install()
        self.guard.install_everywhere()

    def remove(self) -> None:
        """Take the walls down."""
        self.wall.remove()
        self.guard.remove()
        self.stamps.close()


class Adoption:
    """The models that are adopted; ``bz.adopt`` is its method.

    What is adopted stays so for the life of the process, also after the house has closed: a session that
    lives on reaches nothing without a caller.
    """

    def __init__(self) -> None:
        """Adopt nothing yet; without adoptions it costs nothing."""
        self._kinds: dict[By, _Kind] = {}
        self._places: list[tuple[Engines, list[Adopted]]] = []

    def adopt(
        self,
        *models: type | Table,
        by: By = "org",
        engine: Engines,
        existing: Rule = "refuse",
        side_table: bool = False,
        policies: bool = False,
        elsewhere: Iterable[AnyEngine] = (),
    ) -> None:
        """Give every row of ``models`` an owner, and keep each to its owner from now on.

        ``models`` are mapped classes (subclasses come along) or tables that no class is mapped to, such as
        the pairs of a relationship. ``engine`` is where they are kept: one engine, several, or functions that
        give them at the start. ``existing`` says whose the rows are that are there already: one owner's id,
        or a function of the row; ``"refuse"`` does not start while there are any.

        ``side_table`` keeps owners in a table beside, where columns may not be added. ``policies`` adds row-
        level security on PostgreSQL. ``elsewhere`` names engines of other databases whose tables happen to
        have the same names. Call it after the models are defined and before the first query. Raises
        ``NotAdoptable`` where a model cannot be held to owners.
        """
        if side_table and policies:
            message = "Policies need the column: adopt with a side table or with policies, not with both."
            raise NotAdoptable(message)
        kind = self._kinds.get(by)
        if kind is None:
            kind = self._kinds[by] = _Kind(by)
        for other in elsewhere:
            kind.guard.elsewhere.add(other.dialect)
        for model in models:
            self._refuse_other_kind(model, by)
            added = kind.register.add(model, existing, beside=side_table, policies=policies)
            self._places.append((engine, added))
            for each in added:
                follow(each)

    async def start(self) -> None:
        """Make the databases ready: columns, indexes, owners for the rows from before.

        Raises ``UnownedRows`` while there are rows that no rule gives an owner. Tables that do not exist yet
        are made ready when the host creates them.
        """
        for engine, adopted in self._by_engine():
            if isinstance(engine, AsyncEngine):
                async with engine.connect() as connection:
                    await connection.run_sync(_start, adopted)
            else:
                self._start_plainly(engine, adopted)

    def prepare(self) -> None:
        """Do what :meth:`start` does, from a script without an event loop."""
        for engine, adopted in self._by_engine():
            if isinstance(engine, AsyncEngine):
                asyncio.run(_start_alone(engine, adopted))
            else:
                self._start_plainly(engine, adopted)

    async def report(self) -> Sequence[Finding]:
        """Say what no wall covers: plain facts about the schema, each with its cure."""
        found: list[Finding] = []
        for engine, adopted in self._by_engine():
            if isinstance(engine, AsyncEngine):
                async with engine.connect() as connection:
                    found += await connection.run_sync(_look, adopted)
            else:
                with engine.connect() as plain:
                    found += _look(plain, adopted)
        return sorted(set(found), key=lambda each: (each.code, each.subject, each.what))

    @contextmanager
    def across_tenants(self) -> Generator[None]:
        """Lift the walls for the block: for the host's own jobs that are about all tenants.

        Objects are changed and committed inside the block; a new row needs a tenant all the same.
        """
        with across_tenants():
            yield

    def abandon(self) -> None:
        """Take the walls down. The columns stay, and what they say."""
        for kind in self._kinds.values():
            kind.remove()
        self._kinds.clear()
        self._places.clear()

    def _refuse_other_kind(self, model: Any, by: By) -> None:
        for other, kind in self._kinds.items():
            if other != by and (model in kind.register.classes or model in kind.register.tables):
                message = f"{getattr(model, '__name__', model)} is adopted by {other} already."
                raise NotAdoptable(message)

    def _by_engine(self) -> Iterator[tuple[AnyEngine, list[Adopted]]]:
        """Give each engine once, with all that is kept there, in the order of adoption."""
        found: dict[int, tuple[AnyEngine, list[Adopted]]] = {}
        for engines, adopted in self._places:
            for engine in _each(engines):
                found.setdefault(id(engine), (engine, []))[1].extend(adopted)
        yield from found.values()

    def _start_plainly(self, engine: Engine, adopted: list[Adopted]) -> None:
        with engine.connect() as connection:
            _start(connection, adopted)


def _each(engines: Engines) -> Iterator[AnyEngine]:
    if isinstance(engines, Engine | AsyncEngine):
        yield engines
    elif callable(engines):
        yield engines()
    else:
        for engine in engines:
            yield from _each(engine)


def _start(connection: Connection, adopted: list[Adopted]) -> None:
    with across_tenants():
        there = make_ready(connection, adopted)
        connection.commit()
        for each in there:
            fill(connection, each)
        for each in there:
            refuse_unowned(connection, each)
        connection.rollback()


async def _start_alone(engine: AsyncEngine, adopted: list[Adopted]) -> None:
    async with engine.connect() as connection:
        await connection.run_sync(_start, adopted)
    await engine.dispose()


def _look(connection: Connection, adopted: list[Adopted]) -> list[Finding]:
    with across_tenants():
        return look(connection, adopted)
