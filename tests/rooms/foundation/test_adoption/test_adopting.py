"""What can be adopted, what cannot, and how a house does it."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, ForeignKey, MetaData, String, Table, create_engine, insert, select, text
from sqlalchemy.ext.declarative import ConcreteBase
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from bartizan.foundation.context import Caller, NobodyAsks, NoTeam, current
from bartizan.foundation.database import Adoption
from bartizan.foundation.database.errors import NotAdoptable, OutsideOrganization
from bartizan.foundation.database.tenancy.proof import prove
from bartizan.house import Bartizan
from tests.harness.hosted.arena import A, B, acting_for
from tests.harness.hosted.worlds import STYLES


@pytest.fixture
def adoption() -> Any:
    adoption = Adoption()
    yield adoption
    adoption.abandon()


def family() -> tuple[Any, Any, Any]:
    class Base(DeclarativeBase):
        pass

    class Parent(Base):
        __tablename__ = "host_parent"
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "parent"}  # noqa: RUF012

    class Child(Parent):
        __tablename__ = "host_child"
        id: Mapped[int] = mapped_column(ForeignKey("host_parent.id"), primary_key=True)
        __mapper_args__ = {"polymorphic_identity": "child"}  # noqa: RUF012

    return Base, Parent, Child


def test_what_cannot_be_held_to_owners_is_refused(adoption: Adoption) -> None:
    _, parent, child = family()
    engine = create_engine("sqlite://")
    with pytest.raises(NotAdoptable, match="adopt that one"):
        adoption.adopt(child, engine=engine)
    with pytest.raises(NotAdoptable, match="neither"):
        adoption.adopt(int, engine=engine)
    with pytest.raises(NotAdoptable, match="no primary key"):
        adoption.adopt(Table("host_log", MetaData(), Column("line", String)), engine=engine)
    with pytest.raises(NotAdoptable, match="not with both"):
        adoption.adopt(parent, engine=engine, side_table=True, policies=True)
    adoption.adopt(parent, engine=engine)
    adoption.adopt(parent, engine=engine)  # again is nothing new
    with pytest.raises(NotAdoptable, match="by org already"):
        adoption.adopt(parent, engine=engine, by="team")
    with pytest.raises(NotAdoptable, match="Two tables"):
        adoption.adopt(family()[1], engine=engine)
    with pytest.raises(NotAdoptable, match="before Parent is adopted"):
        type("Late", (parent,), {
            "__tablename__": "host_late",
            "__mapper_args__": {"polymorphic_identity": "late"},
            "id": mapped_column(ForeignKey("host_parent.id"), primary_key=True),
        })  # fmt: skip
    engine.dispose()


async def test_other_databases_are_refused(adoption: Adoption) -> None:
    engine = create_engine("sqlite://")
    engine.dialect.name = "mysql"
    adoption.adopt(family()[1], engine=engine)
    with pytest.raises(NotAdoptable, match="mysql"):
        adoption.prepare()
    engine.dispose()


@pytest.mark.feature("X-22")
async def test_concrete_subclasses_are_held_each_by_itself(adoption: Adoption, tmp_path: Path) -> None:
    class Base(DeclarativeBase):
        pass

    class Ship(ConcreteBase, Base):
        __tablename__ = "host_ship"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        __mapper_args__ = {"polymorphic_identity": "ship", "concrete": True}  # noqa: RUF012

    class Tug(Ship):
        __tablename__ = "host_tug"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        __mapper_args__ = {"polymorphic_identity": "tug", "concrete": True}  # noqa: RUF012

    engine = create_engine(f"sqlite:///{tmp_path}/host.db")
    adoption.adopt(Ship, engine=engine)
    Base.metadata.create_all(engine)
    await adoption.start()
    for owner in (A, B):
        with acting_for(owner), Session(engine) as session:
            session.add_all([Ship(name=owner), Tug(name=owner)])
            session.commit()
    with acting_for(A), Session(engine) as session:
        assert [tug.name for tug in session.scalars(select(Tug))] == [A]
        # All kinds together come out of a UNION, whose branches the guard follows.
        assert [ship.name for ship in session.scalars(select(Ship))] == [A, A]
    engine.dispose()


async def test_a_team_is_asked_for_where_teams_own(adoption: Adoption, tmp_path: Path) -> None:
    world = STYLES["declarative"]()
    engine = create_engine(f"sqlite:///{tmp_path}/host.db")
    world.metadata.create_all(engine)
    adoption.adopt(*world.models, engine=engine, by="team")
    adoption.prepare()
    with current.acting_as(Caller(id="usr_x", kind="user", org_id=A)), Session(engine) as session:
        with pytest.raises(NoTeam):
            session.scalars(select(world.Tag)).all()
        with current.in_team("tea_a"):
            session.add(world.Tag(id=1, name="t"))
            session.commit()
            assert len(session.scalars(select(world.Tag)).all()) == 1
            assert current.team_id == "tea_a"
            with current.in_organization(B), pytest.raises(NoTeam):
                session.scalars(select(world.Tag)).all()
        with current.in_team("tea_b"):
            assert session.scalars(select(world.Tag)).all() == []
    engine.dispose()


async def test_schema_work_passes_and_rows_do_not(adoption: Adoption, tmp_path: Path) -> None:
    world = STYLES["imperative"]()
    engine = create_engine(f"sqlite:///{tmp_path}/host.db")
    adoption.adopt(*world.models, engine=engine)
    await adoption.start()
    with engine.begin() as connection:
        connection.execute(text("create table if not exists host_tag (id integer primary key, name text)"))
        connection.execute(text("drop table host_tag"))
    world.metadata.create_all(engine)
    world.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(text("alter table host_tag add column colour text"))
        for forbidden in ("select * from host_tag", "create table x as select * from host_tag"):
            with pytest.raises(NobodyAsks):
                connection.execute(text(forbidden))
    with acting_for(A), engine.begin() as connection:
        with pytest.raises(OutsideOrganization):
            connection.execute(text("alter table host_tag add column more text"))
        connection.execute(insert(world.links.metadata.tables["host_tag"]), [{"id": 1, "name": "t"}])
    MetaData().reflect(engine)
    engine.dispose()


@pytest.mark.feature("X-22")
async def test_a_house_adopts_and_refuses_without_a_caller(
    bartizan_settings: dict[str, Any], tmp_path: Path
) -> None:
    class Base(DeclarativeBase):
        pass

    class Recording(Base):
        __tablename__ = "host_recording"
        id: Mapped[int] = mapped_column(primary_key=True)
        title: Mapped[str]
        parts: Mapped[list["Part"]] = relationship()

    class Part(Base):
        __tablename__ = "host_part"
        id: Mapped[int] = mapped_column(primary_key=True)
        recording_id: Mapped[int] = mapped_column(ForeignKey("host_recording.id"))

    engine = create_engine(f"sqlite:///{tmp_path}/host.db")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Recording(title="old", parts=[Part()]))
        session.commit()
    bz = Bartizan(bartizan_settings)
    bz.adopt(Recording, Part, engine=engine, existing=A)
    await bz.start()
    try:
        with Session(engine) as session:
            with pytest.raises(NobodyAsks):
                session.scalars(select(Recording)).all()
            with acting_for(B):
                assert session.scalars(select(Recording)).all() == []
            with acting_for(A):
                assert len(session.scalars(select(Recording)).one().parts) == 1
            with bz.across_tenants():
                assert session.scalar(select(Recording.title)) == "old"
        assert {each.code for each in await bz.adoption.report()} == set()
    finally:
        await bz.stop()
        bz.adoption.abandon()
        engine.dispose()


KEYS = {"doc": ("id",), "paper": ("id",), "pair": ("doc_id", "tag_id"), "side": ("id",)}
KIN = {
    "paper": (("doc", (("id", "id"),)),),
    "doc": (("paper", (("id", "id"),)), ("side", (("id", "id"),))),
    "pair": (("doc", (("doc_id", "id"),)),),
}
ASIDE = "(select s.o from side s where s.id = d.id)"
PROVEN = [
    "select * from doc d join paper p on d.id = p.id where d.o = :p0",
    "select * from doc d left join paper p on d.id = p.id where d.o = :p0",
    "select * from doc d join paper p on d.id = p.id where p.o = :p0",
    "select * from pair, doc where pair.doc_id = doc.id and doc.o = :p0",
    f"select * from doc d where {ASIDE} = :p0",
    f"select * from doc d where :p0 = {ASIDE} and d.id = 3",
    "select x.i from (select doc.id as i, doc.o as w from doc) x where x.w = :p0",
    "select x.i from (select id as i, o as w from doc union all select id, o from paper) x where x.w = :p0",
    "insert into doc (id, t) values (1, 2)",
]
REFUSED = [
    "select * from doc d join paper p on d.id = p.number where d.o = :p0",
    "select * from doc d left join paper p on d.id = p.id where p.o = :p0",
    "select * from doc d, paper p where d.o = :p0",
    "select * from paper p left join doc d on d.id = p.id and d.o = :p0",
    "select * from pair, doc where pair.tag_id = doc.id and doc.o = :p0",
    "select * from doc d where (select s.o from side s where s.id = id) = :p0",
    "select * from doc d where (select d.o from side d where d.id = d.id) = :p0",
    "select * from doc d where (select s.o from side s where s.id = d.number) = :p0",
    f"select * from doc d where {ASIDE} = :p0 or 1 = 1",
    f"select * from doc d where {ASIDE} <> :p0",
    "with side as (select id, :p0 as o from paper where o = :p0) select * from doc d"  # noqa: ISC004
    " where (select s.o from side s where s.id = d.id) = :p0",
    "select x.i from (select doc.id as i, doc.o as w from doc limit 5) x where x.w = :p0",
    "select x.n from (select count(*) as n, doc.o as w from doc) x where x.w = :p0",
    "select x.i from (select id as i, t as w from doc) x where x.w = :p0",
    "insert into side (id) values (1)",
    "insert into doc values (1, 2)",
    "insert or replace into doc (id, t) values (1, 2)",
    "insert into doc (id, t) values (1, 2) on conflict (id) do update set t = 3",
]


@pytest.mark.feature("X-22", "TEN-07")
@pytest.mark.parametrize("sql", PROVEN)
def test_rows_of_one_owner_in_several_tables_are_proven(sql: str) -> None:
    assert prove(sql, "sqlite", KEYS, "o", kin=KIN, stamped={"doc"}).refused == frozenset()


@pytest.mark.feature("X-22", "TEN-07")
@pytest.mark.parametrize("sql", REFUSED)
def test_what_only_looks_so_is_refused(sql: str) -> None:
    assert prove(sql, "sqlite", KEYS, "o", kin=KIN, stamped={"doc"}).refused
