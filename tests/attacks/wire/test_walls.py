"""Every table of the house, asked without a filter: either wall alone keeps the organizations apart."""

from collections.abc import Generator
from contextlib import contextmanager

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase

from bartizan.foundation.context import Caller, current
from bartizan.foundation.database import OrgTable
from bartizan.foundation.database.errors import OutsideOrganization
from bartizan.foundation.database.tables import WALL
from bartizan.foundation.database.tenancy.scope import EVERY
from tests.attacks.wire.conftest import World


def tables() -> list[type[DeclarativeBase]]:
    """Find the rows of organizations that the house itself has; tests elsewhere map some of their own."""
    found: list[type[DeclarativeBase]] = []
    waiting = list(OrgTable.__subclasses__())
    while waiting:
        row = waiting.pop()
        waiting += row.__subclasses__()
        if row.__module__.startswith("bartizan.") and "__tablename__" in vars(row):
            found.append(row)
    assert len(found) > 10
    return sorted(found, key=lambda row: row.__name__)


async def seen(world: World) -> dict[str, set[str]]:
    """Read every table as somebody of Acme, and tell whose rows came; a refusal shows nobody's."""
    found: dict[str, set[str]] = {}
    caller = Caller(id=world.acme.member.id, kind="user", org_id=world.acme.id, user_id=world.acme.member.id)
    with current.acting_as(caller):
        for row in tables():
            try:
                async with world.app.bz.database.reading() as session:
                    rows = await session.execute(select(row.__table__.c.org_id).select_from(row))
                    found[row.__name__] = {org_id for (org_id,) in rows}
            except (OutsideOrganization, DBAPIError):
                found[row.__name__] = set()
    return found


@contextmanager
def without_the_first(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Let the ORM believe that all organizations were asked for; the connection is told the truth."""
    with monkeypatch.context() as patch:
        patch.setattr(WALL, "_org", lambda: EVERY)
        patch.setattr(WALL._guard, "_scope", lambda: EVERY)
        yield


async def lower_the_second(world: World) -> None:
    if world.app.bz.database.kind != "postgresql":
        return
    with current.as_system():
        async with world.app.bz.database.transaction() as session:
            for table in WALL.tables(OrgTable.metadata):
                await session.execute(text(f'ALTER TABLE "{table.name}" DISABLE ROW LEVEL SECURITY'))


@pytest.mark.feature("TEN-07")
async def test_either_wall_alone_holds_and_without_both_everything_is_open(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, globex = world.acme.id, world.globex.id
    postgresql = world.app.bz.database.kind == "postgresql"

    both = await seen(world)
    assert set().union(*both.values()) == {acme}

    with without_the_first(monkeypatch):
        second = await seen(world)
    if postgresql:
        assert set().union(*second.values()) <= {acme}
        assert sum(acme in orgs for orgs in second.values()) > 10

    await lower_the_second(world)
    first = await seen(world)
    assert set().union(*first.values()) == {acme}

    with without_the_first(monkeypatch):
        neither = await seen(world)
    assert sum(globex in orgs for orgs in neither.values()) > 10, "the walls were not what kept them apart"
