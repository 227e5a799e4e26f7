"""The ground the other tests stand on is what they take it for."""

import pytest
from sqlalchemy import text

from bartizan.foundation.database import Database


@pytest.mark.parametrize("turn", [1, 2])
async def test_a_test_finds_its_database_as_migrated_whatever_the_last_one_did(
    database: Database, turn: int
) -> None:
    async with database.transaction() as session:
        await session.execute(text("create table litter (turn int)"))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_the_tests_speak_to_postgresql_as_an_ordinary_role(database: Database) -> None:
    async with database.reading() as session:
        query = text("select rolsuper or rolbypassrls from pg_roles where rolname = current_user")
        assert (await session.execute(query)).scalar() is False
