"""Ways that read another tenant's rows of adopted models."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import exists, func, select, text, union_all, update
from sqlalchemy.orm import Session, aliased, immediateload, joinedload, load_only, selectinload, subqueryload

from bartizan.foundation.database.tenancy.adoption.owners import across_tenants
from tests.harness.hosted.worlds import World

Way = Callable[[Session, World], bool]
READING: dict[str, Way] = {}
WRITING: dict[str, Way] = {}


def reads(name: str) -> Callable[[Way], Way]:
    return _into(READING, name)


def writes(name: str) -> Callable[[Way], Way]:
    return _into(WRITING, name)


def _into(ways: dict[str, Way], name: str) -> Callable[[Way], Way]:
    def add(way: Way) -> Way:
        assert name not in ways
        ways[name] = way
        return way

    return add


def foreign(docs: Any) -> bool:
    """Tell whether any of these is not ours."""
    return b_texts(doc.title for doc in docs)


def b_texts(values: Any) -> bool:
    return any(str(value).startswith(("B", "pB", "tB")) for value in values)


def unscoped(s: Session, w: World, doc: int = 11) -> Any:
    with across_tenants():
        return s.scalars(select(w.Doc).where(w.Doc.id == doc)).one()


def title_of(s: Session, doc: int = 11) -> str:
    with across_tenants():
        return str(s.execute(text("select title from host_doc where id = :id"), {"id": doc}).scalar())


@reads("select")
def _(s: Session, w: World) -> bool:
    return foreign(s.scalars(select(w.Doc)).all())


@reads("select of a column")
def _(s: Session, w: World) -> bool:
    return b_texts(s.scalars(select(w.Doc.title)))


@reads("count().select_from")
def _(s: Session, w: World) -> bool:
    return s.scalar(select(func.count()).select_from(w.Doc)) != 3


@reads("count")
def _(s: Session, w: World) -> bool:
    return s.scalar(select(func.count(w.Doc.id))) != 3


@reads("max")
def _(s: Session, w: World) -> bool:
    return b_texts([s.scalar(select(func.max(w.Doc.title)))])


@reads("get, cold")
def _(s: Session, w: World) -> bool:
    return s.get(w.Doc, 11) is not None


@reads("get of an object that the session holds")
def _(s: Session, w: World) -> bool:
    held = unscoped(s, w)
    return s.get(w.Doc, 11) is held


@reads("get by two columns")
def _(s: Session, w: World) -> bool:
    return s.get(w.Note, (11, 1)) is not None or s.get(w.Note, (1, 1)) is None


@reads("legacy query")
def _(s: Session, w: World) -> bool:
    query = s.query(w.Doc)
    return len(query.all()) != 3 or query.filter_by(id=12).first() is not None or query.count() != 3


@reads("lazy one-to-many")
def _(s: Session, w: World) -> bool:
    return foreign(s.scalars(select(w.Proj)).one().docs)


@reads("lazy one-to-many of a foreign object")
def _(s: Session, w: World) -> bool:
    with across_tenants():
        proj = s.get_one(w.Proj, 2)
    return foreign(proj.docs)


@reads("lazy many-to-one of a foreign object")
def _(s: Session, w: World) -> bool:
    doc = unscoped(s, w)
    with across_tenants():
        s.get_one(w.Proj, 2)
    return doc.proj is not None


@reads("lazy one-to-many after refresh and expire")
def _(s: Session, w: World) -> bool:
    proj = s.get_one(w.Proj, 1)
    s.refresh(proj)
    s.expire(proj)
    return foreign(proj.docs)


@reads("lazy many-to-many")
def _(s: Session, w: World) -> bool:
    return [tag.name for tag in s.get_one(w.Doc, 1).tags] != ["tA"]


for _name, _load in {
    "selectinload": selectinload,
    "joinedload": joinedload,
    "subqueryload": subqueryload,
    "immediateload": immediateload,
}.items():

    @reads(_name)
    def _(s: Session, w: World, load: Any = _load) -> bool:
        docs = s.scalars(select(w.Proj).options(load(w.Proj.docs))).unique().one().docs
        return foreign(docs) or len(docs) != 3

    @reads(f"{_name} many-to-many")
    def _(s: Session, w: World, load: Any = _load) -> bool:
        doc = s.scalars(select(w.Doc).options(load(w.Doc.tags)).where(w.Doc.id == 1)).unique().one()
        return [tag.name for tag in doc.tags] != ["tA"]


@reads("load_only")
def _(s: Session, w: World) -> bool:
    return foreign(s.scalars(select(w.Doc).options(load_only(w.Doc.title))).all())


@reads("write-only relationship")
def _(s: Session, w: World) -> bool:
    return foreign(s.scalars(s.get_one(w.Proj, 1).written.select()).all())


@reads("inner join")
def _(s: Session, w: World) -> bool:
    return foreign(s.scalars(select(w.Doc).join(w.Doc.proj)).all())


@reads("join of columns")
def _(s: Session, w: World) -> bool:
    return b_texts(row[1] for row in s.execute(select(w.Proj.name, w.Doc.title).join(w.Proj.docs)))


@reads("outer join with a count")
def _(s: Session, w: World) -> bool:
    counted = select(w.Proj.id, func.count(w.Doc.id)).outerjoin(w.Proj.docs).group_by(w.Proj.id)
    return [tuple(row) for row in s.execute(counted)] != [(1, 3)]


@reads("aliased")
def _(s: Session, w: World) -> bool:
    found = s.scalars(select(aliased(w.Doc, flat=True))).all()
    return foreign(found) or len(found) != 3


@reads("aliased, as a subquery")
def _(s: Session, w: World) -> bool:
    return foreign(s.scalars(select(aliased(w.Doc))).all())


@reads("implicit cross join")
def _(s: Session, w: World) -> bool:
    crossed = select(w.Proj.id, w.Doc.title).where(w.Proj.id != w.Doc.id + 1000)
    return b_texts(row[1] for row in s.execute(crossed))


@reads("subquery")
def _(s: Session, w: World) -> bool:
    return foreign(s.execute(select(select(w.Doc.id, w.Doc.title).subquery())))


@reads("CTE")
def _(s: Session, w: World) -> bool:
    cte = select(w.Doc.id, w.Doc.title).cte()
    return foreign(s.execute(select(cte.c.id, cte.c.title)))


@reads("recursive CTE")
def _(s: Session, w: World) -> bool:
    cte = select(w.Doc.id, w.Doc.title).where(w.Doc.id < 50).cte(recursive=True)
    cte = cte.union_all(select(w.Doc.id, w.Doc.title).join(cte, w.Doc.id == cte.c.id + 1))
    return foreign(s.execute(select(cte.c.id, cte.c.title).limit(200)))


@reads("scalar subquery")
def _(s: Session, w: World) -> bool:
    count = select(func.count(w.Doc.id)).where(w.Doc.proj_id == w.Proj.id).scalar_subquery()
    return [tuple(row) for row in s.execute(select(w.Proj.id, count))] != [(1, 3)]


@reads("any()")
def _(s: Session, w: World) -> bool:
    return bool(s.scalars(select(w.Proj).where(w.Proj.docs.any(w.Doc.title.like("B%")))).all())


@reads("in_(select)")
def _(s: Session, w: World) -> bool:
    evil = select(w.Doc.proj_id - 1).where(w.Doc.title.like("B%"))
    return bool(s.scalars(select(w.Proj).where(w.Proj.id.in_(evil))).all())


@reads("exists().where()")
def _(s: Session, w: World) -> bool:
    return bool(s.scalar(select(exists().where(w.Doc.title.like("B%")))))


@reads("exists of a select")
def _(s: Session, w: World) -> bool:
    return bool(s.scalar(select(select(w.Doc.id).where(w.Doc.title.like("B%")).exists())))


@reads("union_all")
def _(s: Session, w: World) -> bool:
    return b_texts(row[0] for row in s.execute(union_all(select(w.Doc.title), select(w.Proj.name))))


@reads("from_statement of a select")
def _(s: Session, w: World) -> bool:
    return foreign(s.scalars(select(w.Doc).from_statement(select(w.Doc).order_by(w.Doc.id))).all())


@reads("from_statement of text")
def _(s: Session, w: World) -> bool:
    return foreign(s.scalars(select(w.Doc).from_statement(text("select * from host_doc"))).all())


@reads("aliased over a subquery")
def _(s: Session, w: World) -> bool:
    found = s.scalars(select(aliased(w.Doc, select(w.Doc).subquery()))).all()
    return foreign(found) or len(found) != 3


@reads("window function")
def _(s: Session, w: World) -> bool:
    return b_texts(
        row[0] for row in s.execute(select(w.Doc.title, func.row_number().over(order_by=w.Doc.id)))
    )


@reads("with_for_update")
def _(s: Session, w: World) -> bool:
    return foreign(s.scalars(select(w.Doc).with_for_update()).all())


@reads("refresh of a foreign object")
def _(s: Session, w: World) -> bool:
    doc = unscoped(s, w)
    doc.__dict__.pop("title")
    s.refresh(doc)
    return foreign([doc])


@reads("an expired column of a foreign object")
def _(s: Session, w: World) -> bool:
    doc = unscoped(s, w)
    s.expire(doc, ["title"])
    return foreign([doc])


@reads("stream by yield_per")
def _(s: Session, w: World) -> bool:
    return foreign(s.scalars(select(w.Doc).execution_options(yield_per=2)))


@reads("Core select through the session")
def _(s: Session, w: World) -> bool:
    return any(row.id > 10 for row in s.execute(select(w.Doc.__table__)))


@reads("ORM joined to a Core table")
def _(s: Session, w: World) -> bool:
    proj = w.Proj.__table__
    return bool(s.execute(select(proj.c.name).select_from(w.Doc).join(proj, proj.c.id == 2)).all())


@reads("secondary table")
def _(s: Session, w: World) -> bool:
    return any(row.doc_id > 10 for row in s.execute(select(w.links)))


@reads("text()")
def _(s: Session, w: World) -> bool:
    return foreign(s.execute(text("select * from host_doc")))


@reads("text() of the subclass's table")
def _(s: Session, w: World) -> bool:
    table = w.Doc.__table__.name
    return any(row.id > 10 for row in s.execute(text(f"select * from {table}")))


@reads("connection().execute")
def _(s: Session, w: World) -> bool:
    return b_texts(s.connection().execute(select(w.Doc.title)).scalars())


@reads("driver SQL")
def _(s: Session, w: World) -> bool:
    return foreign(s.connection().exec_driver_sql("select * from host_doc"))


@reads("text() bound to another tenant")
def _(s: Session, w: World) -> bool:
    sql = "select * from host_doc where bz_org_id = :org or bz_org_id <> :org"
    return foreign(s.execute(text(sql), {"org": "org_other"}))


@reads("the condition on the wrong side of an outer join")
def _(s: Session, w: World) -> bool:
    sql = "select d.* from host_doc d left join host_proj p on d.bz_org_id = :org and p.bz_org_id = :org"
    return foreign(s.execute(text(sql), {"org": "x"}))


@reads("create table as")
def _(s: Session, w: World) -> bool:
    s.execute(text("create table stolen as select * from host_doc"))
    return foreign(s.execute(text("select * from stolen")))


@reads("a foreign row after a change of its tenant in bulk")
def _(s: Session, w: World) -> bool:
    with across_tenants():
        s.execute(
            update(w.Doc).where(w.Doc.id == 11).values(proj_id=1),
            execution_options={"synchronize_session": False},
        )
    return foreign(s.get_one(w.Proj, 1).docs)
