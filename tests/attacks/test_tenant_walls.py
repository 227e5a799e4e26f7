"""67 ways to reach another organization's rows; each is scoped or refused, on both databases.

Run it under each SQLAlchemy line that we support: the file needs nothing but pytest and the database room.
"""

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import (
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm.exc import StaleDataError
from sqlalchemy.orm import (
    Mapped,
    Session,
    WriteOnlyMapped,
    aliased,
    immediateload,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
    subqueryload,
)

from bartizan.foundation import errors, ids
from bartizan.foundation.context import Caller, NobodyAsks, NoOrganization, current
from bartizan.foundation.database import Database, DatabaseSettings, OrgTable
from bartizan.foundation.database.errors import OutsideOrganization
from bartizan.foundation.database.tenancy.rls import raise_walls
from bartizan.foundation.database.tenancy.scope import across

SERVER = os.environ.get("BARTIZAN_TEST_POSTGRESQL", "postgresql://bartizan@127.0.0.1:5544/postgres")
A, B = sorted((ids.new("org"), ids.new("org")))


class Walled(OrgTable):
    __abstract__ = True
    metadata = MetaData()


links = Table(
    "wall_doc_tag",
    Walled.metadata,
    Column("org_id", String(30), primary_key=True),
    Column("doc_id", primary_key=True),
    Column("tag_id", primary_key=True),
    ForeignKeyConstraint(["org_id", "doc_id"], ["wall_doc.org_id", "wall_doc.id"]),
    ForeignKeyConstraint(["org_id", "tag_id"], ["wall_tag.org_id", "wall_tag.id"]),
    info={"walled": True},
)


class Tag(Walled):
    __tablename__ = "wall_tag"
    __table_args__ = (UniqueConstraint("org_id", "id"),)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str]


class Proj(Walled):
    __tablename__ = "wall_proj"
    __table_args__ = (UniqueConstraint("org_id", "id"),)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str]
    docs: Mapped[list["Doc"]] = relationship(back_populates="proj")
    written: WriteOnlyMapped["Doc"] = relationship(overlaps="docs,proj")


class Doc(Walled):
    """Its reference to a project forgets the organization: what a careless table would do."""

    __tablename__ = "wall_doc"
    __table_args__ = (UniqueConstraint("org_id", "id"),)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    title: Mapped[str]
    body: Mapped[str] = mapped_column(Text, deferred=True, default="b")
    proj_id: Mapped[int] = mapped_column(ForeignKey("wall_proj.id"))
    proj: Mapped[Proj] = relationship(back_populates="docs", overlaps="written")
    tags: Mapped[list[Tag]] = relationship(secondary=links)


class Note(Walled):
    """References a project as our tables do: together with the organization."""

    __tablename__ = "wall_note"
    __table_args__ = (ForeignKeyConstraint(["org_id", "proj_id"], ["wall_proj.org_id", "wall_proj.id"]),)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    proj_id: Mapped[int]


Operation = Callable[[Session], bool]
"""Tries to reach a foreign row; true if it did."""
MATRIX: dict[str, Operation] = {}
HELD: set[str] = set()
"""Those that start from a foreign object in the session: no database can see them."""
REFUSALS = (errors.Refusal, OutsideOrganization, IntegrityError, InvalidRequestError, DBAPIError, StaleDataError)


def way(name: str, *, held: bool = False) -> Callable[[Operation], Operation]:
    def add(operation: Operation) -> Operation:
        assert name not in MATRIX
        MATRIX[name] = operation
        if held:
            HELD.add(name)
        return operation

    return add


def foreign(rows: Any) -> bool:
    return any(row.org_id == B for row in rows)


def b_titles(values: Any) -> bool:
    return any(str(value).startswith("B") for value in values)


def unscoped(s: Session, doc: int = 11) -> Doc:
    with across():
        return s.scalars(select(Doc).where(Doc.id == doc)).one()


def title_of(s: Session, doc: int = 11) -> str:
    with across():
        return str(s.execute(text("select title from wall_doc where id = :id"), {"id": doc}).scalar())


# --- reading through the ORM


@way("select(Doc)")
def _(s: Session) -> bool:
    return foreign(s.scalars(select(Doc)).all())


@way("select(Doc.title)")
def _(s: Session) -> bool:
    return b_titles(s.scalars(select(Doc.title)))


@way("count().select_from(Doc)")
def _(s: Session) -> bool:
    return s.scalar(select(func.count()).select_from(Doc)) != 3


@way("count(Doc.id)")
def _(s: Session) -> bool:
    return s.scalar(select(func.count(Doc.id))) != 3


@way("max(Doc.title)")
def _(s: Session) -> bool:
    return b_titles([s.scalar(select(func.max(Doc.title)))])


@way("get(), cold")
def _(s: Session) -> bool:
    return s.get(Doc, 11) is not None


@way("get() of an object that the session holds", held=True)
def _(s: Session) -> bool:
    held = unscoped(s)
    return s.get(Doc, 11) is held


@way("legacy query.all, get, count")
def _(s: Session) -> bool:
    return len(s.query(Doc).all()) != 3 or s.query(Doc).filter_by(id=12).first() is not None or s.query(Doc).count() != 3


@way("lazy one-to-many")
def _(s: Session) -> bool:
    return foreign(s.scalars(select(Proj)).one().docs)


@way("lazy many-to-one of a cross-linked row", held=True)
def _(s: Session) -> bool:
    doc = unscoped(s, 99)
    doc.proj_id = 2
    s.expire(doc, ["proj"])
    with s.no_autoflush:
        return doc.proj is not None and doc.proj.org_id == B


@way("lazy one-to-many after get()")
def _(s: Session) -> bool:
    return foreign(s.get_one(Proj, 1).docs)


@way("lazy one-to-many of a new object")
def _(s: Session) -> bool:
    proj = Proj(id=50, name="n")
    s.add(proj)
    s.flush()
    with across():
        s.execute(update(Doc).where(Doc.id == 11).values(proj_id=50), execution_options={"synchronize_session": False})
    s.expire(proj)
    return foreign(proj.docs)


@way("lazy one-to-many after merge()")
def _(s: Session) -> bool:
    return foreign(s.merge(Proj(id=1, name="m")).docs)


@way("lazy one-to-many after refresh and expire")
def _(s: Session) -> bool:
    proj = s.get_one(Proj, 1)
    s.refresh(proj)
    s.expire(proj)
    return foreign(proj.docs)


@way("selectinload")
def _(s: Session) -> bool:
    return foreign(s.scalars(select(Proj).options(selectinload(Proj.docs))).unique().one().docs)


@way("joinedload")
def _(s: Session) -> bool:
    return foreign(s.scalars(select(Proj).options(joinedload(Proj.docs))).unique().one().docs)


@way("subqueryload")
def _(s: Session) -> bool:
    return foreign(s.scalars(select(Proj).options(subqueryload(Proj.docs))).unique().one().docs)


@way("immediateload")
def _(s: Session) -> bool:
    return foreign(s.scalars(select(Proj).options(immediateload(Proj.docs))).unique().one().docs)


@way("lazy many-to-many")
def _(s: Session) -> bool:
    return foreign(s.get_one(Doc, 1).tags)


@way("selectinload many-to-many")
def _(s: Session) -> bool:
    return foreign(s.scalars(select(Doc).options(selectinload(Doc.tags)).where(Doc.id == 1)).one().tags)


@way("write-only relationship")
def _(s: Session) -> bool:
    return foreign(s.scalars(s.get_one(Proj, 1).written.select()).all())


@way("inner join")
def _(s: Session) -> bool:
    return foreign(s.scalars(select(Doc).join(Doc.proj)).all())


@way("join of columns")
def _(s: Session) -> bool:
    return b_titles(row[1] for row in s.execute(select(Proj.name, Doc.title).join(Proj.docs)))


@way("outer join with a count")
def _(s: Session) -> bool:
    counted = select(Proj.id, func.count(Doc.id)).outerjoin(Proj.docs).group_by(Proj.id)
    return [tuple(row) for row in s.execute(counted)] != [(1, 3)]


@way("aliased")
def _(s: Session) -> bool:
    return foreign(s.scalars(select(aliased(Doc))).all())


@way("implicit cross join")
def _(s: Session) -> bool:
    return b_titles(row[1] for row in s.execute(select(Proj.id, Doc.title).where(Proj.id != Doc.id + 1000)))


@way("subquery")
def _(s: Session) -> bool:
    return foreign(s.execute(select(select(Doc.id, Doc.org_id).subquery())))


@way("CTE")
def _(s: Session) -> bool:
    cte = select(Doc.id, Doc.org_id).cte()
    return foreign(s.execute(select(cte.c.id, cte.c.org_id)))


@way("recursive CTE")
def _(s: Session) -> bool:
    cte = select(Doc.id, Doc.org_id).where(Doc.id < 50).cte(recursive=True)
    cte = cte.union_all(select(Doc.id, Doc.org_id).join(cte, Doc.id == cte.c.id + 1))
    return foreign(s.execute(select(cte.c.id, cte.c.org_id).limit(200)))


@way("scalar subquery")
def _(s: Session) -> bool:
    count = select(func.count(Doc.id)).where(Doc.proj_id == Proj.id).scalar_subquery()
    return [tuple(row) for row in s.execute(select(Proj.id, count))] != [(1, 3)]


@way("any()")
def _(s: Session) -> bool:
    return bool(s.scalars(select(Proj).where(Proj.docs.any(Doc.title.like("B%")))).all())


@way("in_(select)")
def _(s: Session) -> bool:
    evil = select(Doc.proj_id).where(Doc.title.like("B-evil%"))
    return bool(s.scalars(select(Proj).where(Proj.id.in_(evil))).all())


@way("exists().where()")
def _(s: Session) -> bool:
    return bool(s.scalar(select(exists().where(Doc.title.like("B%")))))


@way("exists of a select")
def _(s: Session) -> bool:
    return bool(s.scalar(select(select(Doc.id).where(Doc.title.like("B%")).exists())))


@way("union_all")
def _(s: Session) -> bool:
    both = union_all(select(Doc.id, Doc.org_id), select(Proj.id, Proj.org_id))
    return any(row[1] == B for row in s.execute(both))


@way("from_statement(select)")
def _(s: Session) -> bool:
    return foreign(s.scalars(select(Doc).from_statement(select(Doc).order_by(Doc.id))).all())


@way("from_statement(text)")
def _(s: Session) -> bool:
    return foreign(s.scalars(select(Doc).from_statement(text("select * from wall_doc"))).all())


@way("aliased over a subquery")
def _(s: Session) -> bool:
    return foreign(s.scalars(select(aliased(Doc, select(Doc).subquery()))).all())


@way("window function")
def _(s: Session) -> bool:
    return b_titles(row[0] for row in s.execute(select(Doc.title, func.row_number().over(order_by=Doc.id))))


@way("with_for_update")
def _(s: Session) -> bool:
    return foreign(s.scalars(select(Doc).with_for_update()).all())


@way("refresh of a foreign object", held=True)
def _(s: Session) -> bool:
    s.refresh(unscoped(s))
    return True


@way("deferred column of a foreign object", held=True)
def _(s: Session) -> bool:
    return unscoped(s).body == "b"


@way("stream by yield_per")
def _(s: Session) -> bool:
    return foreign(s.scalars(select(Doc).execution_options(yield_per=2)))


# --- writing through the ORM


@way("update()")
def _(s: Session) -> bool:
    return s.execute(update(Doc).values(title="x")).rowcount != 3  # type: ignore[attr-defined,no-any-return,unused-ignore]


@way("update() fetching")
def _(s: Session) -> bool:
    done = s.execute(update(Doc).values(title="x").execution_options(synchronize_session="fetch"))
    return done.rowcount != 3  # type: ignore[attr-defined,no-any-return,unused-ignore]


@way("delete()")
def _(s: Session) -> bool:
    return s.execute(delete(Doc).where(Doc.id > 1)).rowcount != 2  # type: ignore[attr-defined,no-any-return,unused-ignore]


@way("update() where in a select of foreign rows")
def _(s: Session) -> bool:
    evil = select(Doc.proj_id).where(Doc.title.like("B%"))
    done = s.execute(update(Proj).where(Proj.id.in_(evil)).values(name="x"))
    return done.rowcount > 0  # type: ignore[attr-defined,no-any-return,unused-ignore]


@way("query.update")
def _(s: Session) -> bool:
    return s.query(Doc).update({"title": "z"}) != 3


@way("bulk UPDATE by primary key")
def _(s: Session) -> bool:
    s.execute(update(Doc), [{"id": 11, "title": "HACK"}])
    return title_of(s) == "HACK"


@way("bulk_update_mappings")
def _(s: Session) -> bool:
    s.bulk_update_mappings(Doc, [{"id": 11, "title": "HACK"}])  # type: ignore[arg-type]
    return title_of(s) == "HACK"


@way("bulk_save_objects", held=True)
def _(s: Session) -> bool:
    doc = unscoped(s)
    doc.title = "HACK"
    s.bulk_save_objects([doc])
    return title_of(s) == "HACK"


@way("flush of a changed foreign object", held=True)
def _(s: Session) -> bool:
    unscoped(s).title = "HACK"
    s.flush()
    return title_of(s) == "HACK"


@way("flush of a deleted foreign object", held=True)
def _(s: Session) -> bool:
    s.delete(unscoped(s))
    s.flush()
    return True


@way("merge() over a foreign primary key")
def _(s: Session) -> bool:
    s.merge(Doc(id=11, title="HACK", proj_id=1))
    s.flush()
    return title_of(s) == "HACK"


@way("bulk insert is stamped")
def _(s: Session) -> bool:
    s.execute(insert(Doc), [{"id": 60, "title": "n", "proj_id": 1}])
    with across():
        return s.execute(text("select org_id from wall_doc where id = 60")).scalar() != A


@way("bulk insert that names another organization")
def _(s: Session) -> bool:
    s.execute(insert(Doc), [{"id": 60, "title": "n", "proj_id": 1, "org_id": B}])
    return True


@way("Core insert is stamped")
def _(s: Session) -> bool:
    s.execute(Doc.__table__.insert(), [{"id": 60, "title": "n", "proj_id": 1, "body": ""}])  # type: ignore[attr-defined]
    with across():
        return s.execute(text("select org_id from wall_doc where id = 60")).scalar() != A


@way("insert from a select of foreign rows")
def _(s: Session) -> bool:
    rows = select(Doc.id + 500, Doc.title, literal(A)).where(Doc.title.like("B%"))
    s.execute(insert(Tag).from_select(["id", "name", "org_id"], rows))
    return bool(s.execute(select(func.count(Tag.id)).where(Tag.id > 500)).scalar())


@way("reference to a foreign row")
def _(s: Session) -> bool:
    s.add(Note(id=61, proj_id=2))
    s.flush()
    return True


# --- below the ORM


@way("Core select through the session")
def _(s: Session) -> bool:
    return foreign(s.execute(select(Doc.__table__)))


@way("Core update through the session")
def _(s: Session) -> bool:
    return s.execute(update(Doc.__table__).values(title="x")).rowcount != 3  # type: ignore[arg-type,attr-defined,no-any-return,unused-ignore]


@way("ORM joined to a Core table")
def _(s: Session) -> bool:
    proj = Proj.__table__
    return bool(s.execute(select(proj.c.name).select_from(Doc).join(proj, proj.c.id == 2)).all())


@way("secondary table")
def _(s: Session) -> bool:
    return foreign(s.execute(select(links)))


@way("text()")
def _(s: Session) -> bool:
    return foreign(s.execute(text("select * from wall_doc")))


@way("connection().execute")
def _(s: Session) -> bool:
    return foreign(s.connection().execute(select(Doc.org_id)))


@way("driver SQL")
def _(s: Session) -> bool:
    return foreign(s.connection().exec_driver_sql("select * from wall_doc"))


@way("the organization changes between statements")
def _(s: Session) -> bool:
    first = s.scalar(select(func.count(Doc.id)))
    with current.in_organization(B):
        second = s.scalar(select(func.count(Doc.id)))
    return (first, second, s.scalar(select(func.count(Doc.id)))) != (3, 4, 3)


# --- what the value of a parameter decides


@way("Core insert that names another organization")
def _(s: Session) -> bool:
    s.execute(Doc.__table__.insert(), {"id": 60, "title": "n", "proj_id": 1, "body": "", "org_id": B})  # type: ignore[attr-defined]
    return True


@way("one foreign row among many")
def _(s: Session) -> bool:
    rows = [{"id": 60 + n, "title": "n", "proj_id": 1, "org_id": B if n == 5 else A} for n in range(9)]
    s.execute(insert(Doc), rows)
    return True


@way("text() bound to another organization")
def _(s: Session) -> bool:
    return bool(s.execute(text("select * from wall_doc where org_id = :org"), {"org": B}).all())


@way("text() with another organization spelt out")
def _(s: Session) -> bool:
    return bool(s.execute(text(f"select * from wall_doc where org_id = '{B}'")).all())  # noqa: S608


@way("an OR beside the condition")
def _(s: Session) -> bool:
    return foreign(s.execute(text("select * from wall_doc where org_id = :org or 1 = 1"), {"org": A}))


@way("the condition on the wrong side of an outer join")
def _(s: Session) -> bool:
    sql = "select d.* from wall_doc d left join wall_proj p on d.org_id = :org and p.org_id = :org"
    return foreign(s.execute(text(sql), {"org": A}))


@way("an update that gives a row away")
def _(s: Session) -> bool:
    s.execute(update(Doc).where(Doc.id == 1).values(org_id=B))
    return True


@way("an upsert over a foreign row")
def _(s: Session) -> bool:
    sql = (
        "insert into wall_tag (id, org_id, name) values (2, :org, 'HACK')"
        " on conflict (id) do update set name = excluded.name"
    )
    s.execute(text(sql), {"org": A})
    with across():
        return s.execute(text("select name from wall_tag where id = 2")).scalar() == "HACK"


@way("SQL after a flush")
def _(s: Session) -> bool:
    s.get_one(Doc, 1).title = "mine"
    s.flush()
    s.execute(text("update wall_doc set title = 'HACK' where id = 11"))
    return title_of(s) == "HACK"


# --- the walls, together and apart


@asynccontextmanager
async def seeded(url: str, *, policies: bool = True) -> AsyncGenerator[Database]:
    database = Database(url)
    try:
        with current.as_system():
            async with database.engine.begin() if database.kind == "postgresql" else database.transaction() as c:
                connection: Any = c if database.kind == "postgresql" else await c.connection()  # type: ignore[union-attr]
                await connection.run_sync(Walled.metadata.create_all)
                if policies:
                    await connection.run_sync(lambda x: raise_walls(x, Walled.metadata.sorted_tables))
            async with database.transaction() as session:
                for number, (org_id, letter) in enumerate(((A, "A"), (B, "B"))):
                    session.add(Proj(id=number + 1, name=f"p{letter}", org_id=org_id))
                    session.add(Tag(id=number + 1, name=f"t{letter}", org_id=org_id))
                    await session.flush()
                    for n in range(3):
                        row = Doc(id=number * 10 + n + 1, title=f"{letter}{n}", org_id=org_id, proj_id=number + 1)
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


class _Undo(Exception):
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
                raise _Undo
        except (_Undo, *REFUSALS):
            pass
    return found


def acting_for(org_id: str | None) -> Any:
    return current.acting_as(Caller(id="usr_x", kind="user", org_id=org_id))


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/walls.db"
        return
    async with scratch_database() as made:
        yield made


@pytest.fixture
async def postgresql() -> AsyncGenerator[str]:
    async with scratch_database() as made:
        yield made


@asynccontextmanager
async def scratch_database() -> AsyncGenerator[str]:
    name = f"walls_{os.getpid()}"
    connection = await asyncpg.connect(SERVER)
    try:
        await connection.execute(f"drop database if exists {name} with (force)")
        await connection.execute(f"create database {name}")
        yield SERVER.rsplit("/", 1)[0] + f"/{name}"
        await connection.execute(f"drop database if exists {name} with (force)")
    finally:
        await connection.close()


@pytest.mark.feature("TEN-07")
async def test_no_way_reaches_another_organization(url: str) -> None:
    async with seeded(url) as database:
        with acting_for(A):
            assert await leaks(database.transaction, set()) == []


@pytest.mark.feature("TEN-07")
async def test_the_first_wall_holds_without_the_second(postgresql: str) -> None:
    async with seeded(postgresql, policies=False) as database:
        with acting_for(A):
            assert await leaks(database.transaction, set()) == []


@asynccontextmanager
async def bare(url: str) -> AsyncGenerator[Callable[[], Any]]:
    """Sessions of a plain engine, with the first wall lifted; only the server is told who asks."""
    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"))

    @asynccontextmanager
    async def open_() -> AsyncGenerator[AsyncSession]:
        with across():
            async with AsyncSession(engine, expire_on_commit=False) as session:
                await session.execute(text("select set_config('bartizan.org_id', :org, true)"), {"org": A})
                yield session

    yield open_
    await engine.dispose()


@pytest.mark.feature("TEN-07")
async def test_the_second_wall_holds_without_the_first(postgresql: str) -> None:
    async with seeded(postgresql), bare(postgresql) as open_:
        assert await leaks(open_, HELD) == []


@pytest.mark.feature("TEN-07")
async def test_without_both_walls_most_ways_lead_through(postgresql: str) -> None:
    async with seeded(postgresql, policies=False), bare(postgresql) as open_:
        assert len(await leaks(open_, set())) > 50


@pytest.mark.feature("TEN-07")
@pytest.mark.parametrize("name", ["select(Doc)", "text()", "Core insert is stamped", "update()"])
async def test_without_an_organization_everything_is_refused(url: str, name: str) -> None:
    async with seeded(url) as database:
        for caller, refusal in ((None, NobodyAsks), (Caller(id="usr_x", kind="user"), NoOrganization)):
            with current.acting_as(caller), pytest.raises(refusal):
                async with database.transaction() as session:
                    await session.run_sync(MATRIX[name])


async def test_the_system_and_stores_see_across(url: str) -> None:
    async with seeded(url) as database:
        with current.as_system():
            async with database.reading() as session:
                assert await session.scalar(select(func.count(Doc.id))) == 7
        with acting_for(A):
            async with database.reading() as session:
                assert await session.scalar(select(func.count(Doc.id))) == 3
                with database.across_organizations():
                    assert await session.scalar(select(func.count(Doc.id))) == 7
                assert await session.scalar(select(func.count(Doc.id))) == 3


async def test_what_a_block_across_changed_may_be_flushed_after_it(url: str) -> None:
    async with seeded(url) as database:
        with acting_for(A):
            async with database.transaction() as session:
                with database.across_organizations():
                    (await session.get_one(Doc, 11)).title = "by the platform"
                (await session.get_one(Doc, 1)).title = "by us"
        with current.as_system():
            async with database.reading() as session:
                titles = await session.scalars(select(Doc.title).where(Doc.id.in_([1, 11])).order_by(Doc.id))
                assert titles.all() == ["by us", "by the platform"]


async def test_ordinary_work_of_the_unit_of_work_passes(url: str) -> None:
    async with seeded(url) as database:
        with acting_for(A):
            async with database.transaction() as session:
                proj = await session.get_one(Proj, 1)
                session.add(Doc(id=70, title="new", proj=proj, tags=[await session.get_one(Tag, 1)]))
                await session.flush()
                doc = await session.get_one(Doc, 1)
                doc.title = "changed"
                await session.delete(await session.get_one(Doc, 3))
                (await session.run_sync(lambda _: doc.tags)).clear()
            async with database.reading() as session:
                found = await session.scalars(select(Doc.title).order_by(Doc.id))
                assert found.all() == ["changed", "A1", "new"]
                assert (await session.execute(select(links.c.doc_id).where(links.c.org_id == A))).scalars().all() == [70]


async def test_the_setting_follows_through_savepoints(url: str) -> None:
    async with seeded(url) as database:
        with acting_for(A):
            async with database.transaction() as session:
                with pytest.raises(_Undo):
                    async with database.savepoint():
                        with current.in_organization(B):
                            assert await session.scalar(select(func.count(Doc.id))) == 4
                            raise _Undo
                assert await session.scalar(select(func.count(Doc.id))) == 3


async def test_settings_name_the_walls() -> None:
    assert not DatabaseSettings().allow_superuser
