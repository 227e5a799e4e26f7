"""Ways below the ORM, and what the value of a parameter decides."""

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.orm import Session

from bartizan.foundation.context import current
from bartizan.foundation.database.tenancy.scope import across

from .models import A, B, Doc, Proj, foreign, links, title_of, way


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
    return bool(s.execute(text(f"select * from wall_doc where org_id = '{B}'")).all())


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
        "insert into wall_tag (id, org_id, name) values (2, :org, 'TAKEN')"
        " on conflict (id) do update set name = excluded.name"
    )
    s.execute(text(sql), {"org": A})
    with across():
        return s.execute(text("select name from wall_tag where id = 2")).scalar() == "TAKEN"


@way("SQL after a flush")
def _(s: Session) -> bool:
    s.get_one(Doc, 1).title = "mine"
    s.flush()
    s.execute(text("update wall_doc set title = 'TAKEN' where id = 11"))
    return title_of(s) == "TAKEN"
