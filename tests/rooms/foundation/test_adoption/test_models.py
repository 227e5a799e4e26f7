"""Models that somebody else wrote work as before, for one tenant at a time."""

import dataclasses
from typing import Any

import pytest
from sqlalchemy import ForeignKey, exists, func, insert, inspect, or_, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
    with_polymorphic,
)

from bartizan.foundation.context import current
from bartizan.foundation.database import Adoption
from bartizan.foundation.database.errors import OutsideOrganization
from tests.harness.hosted.arena import A, B, Host, acting_for, seeded
from tests.harness.hosted.worlds import STYLES, World

BOTH = pytest.mark.parametrize("terms", [{}, {"side_table": True}], ids=["column", "beside"])
EACH = pytest.mark.parametrize("style", STYLES)


@pytest.fixture
def url(empty_database_url: str) -> str:
    return empty_database_url


async def owners(host: Host, table: str) -> dict[Any, Any]:
    with current.as_system():
        found = await host.run(
            lambda session: session.execute(text(f"select id, bz_org_id from {table} order by id")).all()
        )
    return {row[0]: row[1] for row in found}


@pytest.mark.feature("X-22")
@EACH
@BOTH
async def test_a_host_works_as_before(url: str, style: str, terms: dict[str, Any]) -> None:
    async with seeded(STYLES[style](), url, **terms) as (host, _):
        world = host.world

        def work(s: Session) -> list[Any]:
            proj = s.get_one(world.Proj, 1)
            new = world.doc(id=70, title="new", proj_id=1)
            s.add(new)
            s.flush()
            new.tags.append(s.get_one(world.Tag, 1))
            doc = s.get_one(world.Doc, 1)
            doc.title = "changed"
            s.flush()
            doc.tags.clear()
            s.delete(s.get_one(world.Doc, 3))
            s.get_one(world.Note, (1, 1)).text = "changed"
            s.flush()
            s.expire_all()
            titled = world.Doc.title == "changed"
            return [
                s.scalars(select(world.Doc.title).order_by(world.Doc.id)).all(),
                len(proj.docs),
                [tag.name for tag in s.get_one(world.Doc, 70).tags],
                s.get_one(world.Note, (1, 1)).text,
                len(s.scalars(select(world.Proj).where(world.Proj.docs.any(titled))).all()),
                len(s.scalars(select(world.Proj).where(~world.Proj.docs.any(titled))).all()),
                len(s.scalars(select(world.Doc).where(world.Doc.proj.has(world.Proj.name == "pA"))).all()),
                len(s.scalars(select(world.Doc).where(or_(world.Doc.tags.any(), world.Doc.id == 1))).all()),
                len(
                    s.scalars(
                        select(world.Proj).where(exists().where(world.Doc.proj_id == world.Proj.id))
                    ).all()
                ),
                s.execute(update(world.Doc).values(body="z")).rowcount,  # type: ignore[attr-defined,unused-ignore]
            ]

        with acting_for(A):
            assert await host.run(work) == [
                ["changed", "A1", "new"], 3, ["tA"], "changed", 1, 0, 3, 2, 1, 3,
            ]  # fmt: skip
        with acting_for(B):
            titles = select(world.Doc.title).order_by(world.Doc.id)
            assert await host.run(lambda s: s.scalars(titles).all()) == ["B0", "B1", "B2"]


@pytest.mark.feature("X-22")
@EACH
async def test_every_kind_of_insert_is_stamped(url: str, style: str) -> None:
    async with seeded(STYLES[style](), url) as (host, _):
        tag = host.world.Tag

        def work(s: Session) -> None:
            s.add(tag(id=20, name="object"))
            s.execute(insert(tag), [{"id": 21, "name": "bulk"}, {"id": 22, "name": "bulk"}])
            s.execute(tag.__table__.insert(), [{"id": 23, "name": "Core"}])
            s.execute(text("insert into host_tag (id, name) values (24, 'text')"))
            s.bulk_save_objects([tag(id=25, name="saved")])
            s.bulk_insert_mappings(tag, [{"id": 26, "name": "mapped"}])
            s.connection().exec_driver_sql("insert into host_tag (id, name) values (27, 'driver')")
            s.execute(
                insert(tag).from_select(["id", "name"], select(tag.id + 27, tag.name).where(tag.id == 1))
            )

        with acting_for(A):
            await host.run(work)
        with acting_for(B):
            await host.run(lambda s: s.execute(text("insert into host_tag (id, name) values (30, 'B')")))
        found = await owners(host, "host_tag")
        assert {found[id_] for id_ in (1, *range(20, 29))} == {A}
        assert (found[2], found[30]) == (B, B)


@pytest.mark.feature("X-22")
@EACH
async def test_a_host_sees_nothing_of_it(url: str, style: str) -> None:
    async with seeded(STYLES[style](), url) as (host, _):
        world = host.world

        def work(s: Session) -> None:
            doc = world.doc(id=70, title="t", proj_id=1)
            s.add(doc)
            s.flush()
            for item in (doc, s.get_one(world.Doc, 1)):
                assert not [name for name in vars(item) if "bz" in name]
                assert "bz" not in repr(item).replace(item.__module__, "")
                assert item.bz_org_id == A
            assert not [each.key for each in inspect(world.Doc).attrs if "bz" in each.key]
            if hasattr(doc, "model_dump"):
                assert set(doc.model_dump()) == {"id", "title", "body", "proj_id"}
            if dataclasses.is_dataclass(doc):
                assert {field.name for field in dataclasses.fields(doc)} == {
                    "id", "title", "body", "proj_id", "proj", "tags",
                }  # fmt: skip
            everything = {column.name: getattr(doc, column.name) for column in world.Doc.__table__.columns}
            assert everything["bz_org_id"] == A

        with acting_for(A):
            await host.run(work)


async def test_another_tenants_id_cannot_be_set(url: str) -> None:
    async with seeded(STYLES["declarative"](), url) as (host, _):
        with acting_for(A):
            with pytest.raises(OutsideOrganization):
                host.world.Tag(id=70, name="t", bz_org_id=B)
            assert host.world.Tag(id=70, name="t", bz_org_id=A).name == "t"


@pytest.mark.feature("X-22")
async def test_bulk_updates_by_key_reach_own_rows_alone(url: str) -> None:
    async with seeded(STYLES["inherited"](), url) as (host, _):
        doc = host.world.Doc
        with acting_for(A):
            changed = [{"id": 1, "title": "one", "body": "x"}, {"id": 2, "title": "two", "body": "y"}]
            await host.run(lambda s: s.execute(update(doc), changed))
            assert await host.run(lambda s: s.scalars(select(doc.title).order_by(doc.id)).all()) == [
                "one", "two", "A2",
            ]  # fmt: skip
            with pytest.raises(OutsideOrganization):
                await host.run(lambda s: s.execute(update(doc), [*changed, {"id": 11, "title": "x"}]))


@pytest.mark.feature("X-22")
async def test_an_upsert_changes_own_rows_alone(url: str) -> None:
    build = sqlite.insert if url.startswith("sqlite") else postgresql.insert
    async with seeded(STYLES["declarative"](), url) as (host, _):
        tag = host.world.Tag

        def upsert(s: Session, id_: int) -> None:
            statement = build(tag).values(id=id_, name="new")
            s.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"name": "new"}))

        with acting_for(A):
            for id_ in (1, 2, 3):
                await host.run(lambda s, id_=id_: upsert(s, id_))  # type: ignore[misc]
        with current.as_system():
            found = await host.run(lambda s: s.scalars(select(tag.name).order_by(tag.id)).all())
        assert found == ["new", "tB", "new"]


@pytest.mark.feature("X-22")
async def test_one_session_may_serve_tenant_after_tenant(url: str) -> None:
    async with seeded(STYLES["declarative"](), url) as (host, adoption):
        doc = host.world.Doc

        def work(s: Session) -> None:
            for owner, mine, foreign in ((A, 1, 11), (B, 11, 1), (A, 1, 11)):
                with acting_for(owner):
                    assert s.get(doc, foreign) is None
                    s.get_one(doc, mine).title = owner
                    s.flush()
            with adoption.across_tenants():
                for each in s.scalars(select(doc)):
                    each.title = each.title.lower()
                s.flush()
            with acting_for(A):
                s.get_one(doc, 1).title += "!"
                s.flush()
                assert s.scalar(select(func.count(doc.id)).where(doc.title == A.lower() + "!")) == 1

        await host.run(work)


async def test_a_row_made_across_tenants_has_to_say_whose_it_is(url: str) -> None:
    async with seeded(STYLES["declarative"](), url) as (host, adoption):
        tag = host.world.Tag
        with adoption.across_tenants():
            with pytest.raises(OutsideOrganization, match="Whose row"):
                await host.run(lambda s: s.add(tag(id=50, name="nobody's")))
            with acting_for(A), pytest.raises(OutsideOrganization, match="Whose row"):
                await host.run(lambda s: s.execute(insert(tag), [{"id": 50, "name": "nobody's"}]))
            await host.run(
                lambda s: s.execute(tag.__table__.insert(), [{"id": 50, "name": "given", "bz_org_id": B}])
            )
        assert (await owners(host, "host_tag"))[50] == B


async def test_what_was_read_for_one_tenant_streams_on_as_theirs(url: str) -> None:
    async with seeded(STYLES["declarative"](), url) as (host, _):
        doc = host.world.Doc

        def work(s: Session) -> None:
            with acting_for(A):
                rows = s.scalars(select(doc).execution_options(yield_per=1))
            with acting_for(B):
                for row in rows:
                    assert row.bz_org_id == A
                    assert s.get(doc, row.id) is None

        await host.run(work)


@pytest.mark.parametrize("load", [joinedload, selectinload])
async def test_pairs_are_loaded_eagerly(url: str, load: Any) -> None:
    async with seeded(STYLES["inherited"](), url) as (host, _):
        doc = host.world.Doc
        query = select(doc).options(load(doc.tags)).order_by(doc.id)
        with acting_for(A):
            found = await host.run(lambda s: [len(each.tags) for each in s.scalars(query).unique()])
        assert found == [1, 0, 0]


@pytest.mark.feature("X-22")
@BOTH
async def test_a_hierarchy_is_loaded_from_its_top(url: str, terms: dict[str, Any]) -> None:
    async with seeded(STYLES["inherited"](), url, **terms) as (host, _):
        paper = host.world.Doc
        doc = paper.__mro__[1]

        def work(s: Session) -> list[Any]:
            found = s.scalars(select(doc).order_by(doc.id)).all()
            loaded = [(each.title, each.body) for each in found]  # of the subclass's table, one by one
            s.expunge_all()
            whole = s.scalars(select(with_polymorphic(doc, "*"))).all()
            return [loaded, len(whole), {type(each) for each in whole}]

        with acting_for(A):
            assert await host.run(work) == [[("A0", "b"), ("A1", "b"), ("A2", "b")], 3, {paper}]


@pytest.mark.feature("X-22")
@BOTH
async def test_a_tree_is_searched_through_an_alias(url: str, terms: dict[str, Any]) -> None:
    class Base(DeclarativeBase):
        pass

    class Node(Base):
        __tablename__ = "host_node"
        id: Mapped[int] = mapped_column(primary_key=True)
        above_id: Mapped[int | None] = mapped_column(ForeignKey("host_node.id"))
        below: Mapped[list["Node"]] = relationship()

    host, adoption = Host(World(Base.metadata, *[None] * 5), url), Adoption()  # type: ignore[arg-type]
    adoption.adopt(Node, engine=host.engine, **terms)
    await host.create()
    await adoption.start()
    try:
        for owner, first in ((A, 1), (B, 11)):
            with acting_for(owner):
                tree = Node(id=first, below=[Node(id=first + 1)])
                await host.run(lambda s, tree=tree: s.add(tree))  # type: ignore[misc]
        with acting_for(A):
            parents = select(Node.id).where(Node.below.any())
            assert await host.run(lambda s: s.scalars(parents).all()) == [1]
            leaves = select(Node.id).where(~Node.below.any(Node.id > 0))
            assert await host.run(lambda s: s.scalars(leaves).all()) == [2]
    finally:
        adoption.abandon()
        await host.close()
