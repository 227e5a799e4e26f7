"""What no wall covers is said, with its reason and its cure."""

from typing import Any

import pytest
from sqlalchemy import Column, ForeignKey, Integer, String, Table, text

from bartizan.foundation.context import current
from bartizan.foundation.database import Adoption
from tests.harness.databases import PostgreSQL
from tests.harness.hosted.arena import Host, seeded
from tests.harness.hosted.worlds import STYLES, World


@pytest.fixture
def url(empty_database_url: str) -> str:
    return empty_database_url


@pytest.fixture
def server_url(postgresql: PostgreSQL) -> str:
    return postgresql.empty()


def grown() -> World:
    """A host with more than its adopted tables."""
    world = STYLES["declarative"]()
    Table(
        "host_comment",
        world.metadata,
        Column("id", Integer, primary_key=True),
        Column("doc_id", ForeignKey("host_doc.id")),
    )
    colours = Table("host_colour", world.metadata, Column("name", String, primary_key=True))
    world.Tag.__table__.append_column(Column("colour", ForeignKey(colours.c.name)))
    world.Proj.__table__.append_column(Column("slug", String, unique=True))
    return world


async def codes(adoption: Adoption) -> set[tuple[str, str]]:
    found = await adoption.report()
    assert all(each.what and each.why and each.cure for each in found)
    return {(each.code.removeprefix("adoption."), each.subject) for each in found}


async def said(host: Host, *statements: str) -> None:
    with current.as_system():
        for statement in statements:
            await host.run(lambda s, statement=statement: s.execute(text(statement)))  # type: ignore[misc]


@pytest.mark.feature("X-22")
async def test_what_lies_around_adopted_tables_is_found(url: str) -> None:
    async with seeded(grown(), url) as (host, adoption):
        await said(host, "create view host_titles as select title from host_doc")
        found = await codes(adoption)
    assert {
        ("unique", "host_proj"),
        ("reachable", "host_comment"),
        ("shared", "host_colour"),
        ("view", "host_titles"),
    } <= found
    assert ("reachable", "host_doc") not in found
    assert not {("unowned", "host_doc"), ("unprepared", "host_doc")} & found


@pytest.mark.feature("X-22")
async def test_triggers_and_functions_are_found(url: str) -> None:
    async with seeded(STYLES["declarative"](), url) as (host, adoption):
        if url.startswith("sqlite"):
            wanted = {("trigger", "host_log")}
            await said(
                host,
                "create trigger host_log after update on host_doc begin select count(*) from host_doc; end",
            )
        else:
            wanted = {("trigger", "host_log"), ("function", "host_count")}
            await said(
                host,
                "create function host_count() returns bigint language sql as 'select count(*) from host_doc'",
                "create function host_touch() returns trigger language plpgsql as 'begin return new; end'",
                "create trigger host_log before update on host_doc for each row"
                " execute function host_touch()",
            )
        assert wanted <= await codes(adoption)


@pytest.mark.feature("X-22")
async def test_rows_of_another_program_are_found(url: str) -> None:
    async with seeded(STYLES["declarative"](), url) as (host, adoption):
        assert ("unowned", "host_tag") not in await codes(adoption)
        adoption.abandon()
        await host.run(lambda s: s.execute(text("insert into host_tag (id, name) values (60, 'x')")))
        again = Adoption()
        again.adopt(*host.world.models, engine=host.engine)
        assert ("unowned", "host_tag") in await codes(again)
        again.abandon()


async def test_a_table_that_is_not_there_yet_is_said(url: str) -> None:
    host = Host(STYLES["declarative"](), url)
    adoption = Adoption()
    adoption.adopt(*host.world.models, engine=host.engine)
    await adoption.start()
    assert ("missing-table", "host_doc") in await codes(adoption)
    await host.create()
    assert ("missing-table", "host_doc") not in await codes(adoption)
    adoption.abandon()
    await host.close()


@pytest.mark.parametrize(("terms", "code"), [({"side_table": True}, "side-table"), ({}, "one-wall")])
async def test_the_weaker_ways_are_said(url: str, terms: dict[str, Any], code: str) -> None:
    async with seeded(STYLES["declarative"](), url, **terms) as (_, adoption):
        expected = code == "side-table" or url.startswith("postgresql")
        assert ((code, "host_doc") in await codes(adoption)) is expected


async def test_a_default_that_was_lost_is_said_and_put_back(server_url: str) -> None:
    async with seeded(STYLES["declarative"](), server_url) as (host, adoption):
        await said(host, "alter table host_tag alter column bz_org_id drop default")
        assert ("unprepared", "host_tag") in await codes(adoption)
        await adoption.start()
        assert ("unprepared", "host_tag") not in await codes(adoption)
