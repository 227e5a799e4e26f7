"""Ways that read, through the ORM."""

from sqlalchemy import exists, func, select, text, union_all, update
from sqlalchemy.orm import Session, aliased, immediateload, joinedload, selectinload, subqueryload

from bartizan.foundation.database.tenancy.scope import across

from .models import B, Doc, Proj, b_titles, foreign, unscoped, way


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
    return (
        len(s.query(Doc).all()) != 3
        or s.query(Doc).filter_by(id=12).first() is not None
        or s.query(Doc).count() != 3
    )


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
        s.execute(
            update(Doc).where(Doc.id == 11).values(proj_id=50),
            execution_options={"synchronize_session": False},
        )
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
