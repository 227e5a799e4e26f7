"""Two organizations' rows, and who tries every way from one to the other."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError, InvalidRequestError
from sqlalchemy.orm.exc import StaleDataError

from bartizan.foundation import errors
from bartizan.foundation.context import Caller, current
from bartizan.foundation.database import Database
from bartizan.foundation.database.errors import OutsideOrganization
from tests.attacks.walls.models import MATRIX, A, B, Doc, Proj, Tag, Walled, links

REFUSALS = (
    errors.Refusal,
    OutsideOrganization,
    IntegrityError,
    InvalidRequestError,
    DBAPIError,
    StaleDataError,
)


@asynccontextmanager
async def seeded(url: str, *, policies: bool = True) -> AsyncGenerator[Database]:
    database = Database(url)
    try:
        with current.as_system():
            await database.create_tables(Walled.metadata)
            if not policies:
                await database.write(without_policies)
            async with database.transaction() as session:
                for number, (org_id, letter) in enumerate(((A, "A"), (B, "B"))):
                    session.add(Proj(id=number + 1, name=f"p{letter}", org_id=org_id))
                    session.add(Tag(id=number + 1, name=f"t{letter}", org_id=org_id))
                    await session.flush()
                    for n in range(3):
                        row = Doc(
                            id=number * 10 + n + 1, title=f"{letter}{n}", org_id=org_id, proj_id=number + 1
                        )
                        session.add(row)
                session.add(Doc(id=99, title="B-evil-in-A-project", org_id=B, proj_id=1))
                await session.flush()
                await session.execute(
                    links.insert(),
                    [{"org_id": A, "doc_id": 1, "tag_id": 1}, {"org_id": B, "doc_id": 11, "tag_id": 2}],
                )
        yield database
    finally:
        await database.close()


def without_policies(connection: Connection) -> None:
    for table in Walled.metadata.tables:
        connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")


class Undo(Exception):
    pass


async def leaks(open_: Callable[[], Any], skip: set[str]) -> list[str]:
    """Try every way as organization A; name those that got through or broke in an unforeseen manner."""
    found = []
    for name, operation in MATRIX.items():
        if name in skip:
            continue
        try:
            async with open_() as session:
                if await session.run_sync(operation):
                    found.append(name)
                raise Undo  # noqa: TRY301 - nothing is kept
        except (Undo, *REFUSALS):
            pass
    return found


def acting_for(org_id: str | None) -> Any:
    return current.acting_as(Caller(id="usr_x", kind="user", org_id=org_id))
