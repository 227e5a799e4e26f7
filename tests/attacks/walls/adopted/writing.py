"""Ways that write another tenant's rows of adopted models, or rows that nobody owns."""

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.orm import Session

from bartizan.foundation.database.tenancy.adoption.owners import across_tenants
from tests.attacks.walls.adopted.reading import WRITING, Way, title_of, unscoped, writes
from tests.harness.hosted.worlds import World

__all__ = ["WRITING", "Way"]


def base(w: World) -> str:
    return str(w.Doc.__table__.name)


@writes("update()")
def _(s: Session, w: World) -> bool:
    return s.execute(update(w.Doc).values(proj_id=1)).rowcount != 3  # type: ignore[attr-defined,no-any-return,unused-ignore]


@writes("update() fetching")
def _(s: Session, w: World) -> bool:
    done = s.execute(update(w.Doc).values(proj_id=1).execution_options(synchronize_session="fetch"))
    return done.rowcount != 3  # type: ignore[attr-defined,no-any-return,unused-ignore]


@writes("delete()")
def _(s: Session, w: World) -> bool:
    return s.execute(delete(w.Doc).where(w.Doc.id > 1)).rowcount != 2  # type: ignore[attr-defined,no-any-return,unused-ignore]


@writes("update() where in a select of foreign rows")
def _(s: Session, w: World) -> bool:
    evil = select(w.Doc.proj_id - 1).where(w.Doc.title.like("B%"))
    done = s.execute(update(w.Proj).where(w.Proj.id.in_(evil)).values(name="x"))
    return done.rowcount > 0  # type: ignore[attr-defined,no-any-return,unused-ignore]


@writes("query.update")
def _(s: Session, w: World) -> bool:
    return bool(s.query(w.Proj).update({"name": "z"}) != 1)


@writes("bulk UPDATE by primary key")
def _(s: Session, w: World) -> bool:
    s.execute(update(w.Doc), [{"id": 1, "title": "mine"}, {"id": 11, "title": "TAKEN"}])
    return title_of(s) == "TAKEN"


@writes("bulk_update_mappings")
def _(s: Session, w: World) -> bool:
    s.bulk_update_mappings(w.Doc, [{"id": 11, "title": "TAKEN"}])
    return title_of(s) == "TAKEN"


@writes("bulk_save_objects")
def _(s: Session, w: World) -> bool:
    doc = unscoped(s, w)
    doc.title = "TAKEN"
    s.bulk_save_objects([doc])
    return title_of(s) == "TAKEN"


@writes("flush of a changed foreign object")
def _(s: Session, w: World) -> bool:
    unscoped(s, w).title = "TAKEN"
    s.flush()
    return title_of(s) == "TAKEN"


@writes("flush of a deleted foreign object")
def _(s: Session, w: World) -> bool:
    with across_tenants():
        note = s.get_one(w.Note, (11, 1))
    s.delete(note)
    s.flush()
    return True


@writes("merge() over a foreign primary key")
def _(s: Session, w: World) -> bool:
    s.merge(w.doc(id=11, title="TAKEN", proj_id=1))
    s.flush()
    return title_of(s) == "TAKEN"


@writes("a detached object of another tenant")
def _(s: Session, w: World) -> bool:
    doc = unscoped(s, w)
    s.expunge(doc)
    doc.title = "TAKEN"
    s.add(doc)
    s.flush()
    return title_of(s) == "TAKEN"


@writes("Core update through the session")
def _(s: Session, w: World) -> bool:
    s.execute(update(w.Doc.__table__).values(proj_id=1))
    return True


@writes("text() update")
def _(s: Session, w: World) -> bool:
    s.execute(text("update host_doc set title = 'TAKEN' where id = 11"))
    return True


@writes("text() delete")
def _(s: Session, w: World) -> bool:
    s.execute(text("delete from host_note"))
    return True


@writes("SQL after a flush")
def _(s: Session, w: World) -> bool:
    s.get_one(w.Doc, 1).title = "mine"
    s.flush()
    s.execute(text("update host_doc set title = 'TAKEN' where id = 11"))
    return title_of(s) == "TAKEN"


@writes("a new object that names another tenant")
def _(s: Session, w: World) -> bool:
    doc = w.doc(id=60, title="n", proj_id=1)
    doc.bz_org_id = "org_other"
    s.add(doc)
    s.flush()
    return True


@writes("a bulk insert that names another tenant")
def _(s: Session, w: World) -> bool:
    s.execute(insert(w.Tag), [{"id": 60, "name": "n", "bz_org_id": "org_other"}])
    return s.get(w.Tag, 60) is None


@writes("a Core insert that names another tenant")
def _(s: Session, w: World) -> bool:
    s.execute(w.Tag.__table__.insert(), [{"id": 60, "name": "n", "bz_org_id": "org_other"}])
    return s.get(w.Tag, 60) is None


@writes("an update that gives a row away")
def _(s: Session, w: World) -> bool:
    s.execute(text("update host_tag set bz_org_id = 'org_other' where bz_org_id = bz_org_id"))
    return True


@writes("an upsert over a foreign row")
def _(s: Session, w: World) -> bool:
    sql = "insert into host_tag (id, name) values (2, 'TAKEN')"
    sql += " on conflict (id) do update set name = excluded.name"
    s.execute(text(sql))
    return True


@writes("insert or replace over a foreign row")
def _(s: Session, w: World) -> bool:
    s.execute(text("insert or replace into host_tag (id, name) values (2, 'TAKEN')"))
    return True


@writes("insert from a select of foreign rows")
def _(s: Session, w: World) -> bool:
    rows = select(w.Doc.id + 500, w.Doc.title).where(w.Doc.title.like("B%"))
    s.execute(insert(w.Tag).from_select(["id", "name"], rows))
    return bool(s.execute(select(func.count(w.Tag.id)).where(w.Tag.id > 500)).scalar())


@writes("insert without the names of columns")
def _(s: Session, w: World) -> bool:
    s.execute(text("insert into host_tag values (60, 'n')"))
    return True


@writes("a child that points at a foreign parent")
def _(s: Session, w: World) -> bool:
    s.add(w.doc(id=61, title="n", proj_id=2))
    s.flush()
    return True


@writes("a child moved to a foreign parent")
def _(s: Session, w: World) -> bool:
    s.get_one(w.Doc, 1).proj_id = 2
    s.flush()
    return True


@writes("a child given to a foreign object")
def _(s: Session, w: World) -> bool:
    with across_tenants():
        proj = s.get_one(w.Proj, 2)
    doc = s.get_one(w.Doc, 1)
    doc.proj = proj
    s.flush()
    return True


@writes("a pair with a foreign object")
def _(s: Session, w: World) -> bool:
    with across_tenants():
        tag = s.get_one(w.Tag, 2)
    doc = s.get_one(w.Doc, 1)
    doc.tags.append(tag)
    s.flush()
    return True


@writes("a bulk insert of children of a foreign parent")
def _(s: Session, w: World) -> bool:
    s.execute(
        insert(w.Note), [{"doc_id": 1, "number": 7, "text": "n"}, {"doc_id": 11, "number": 7, "text": "n"}]
    )
    return True


@writes("drop table")
def _(s: Session, w: World) -> bool:
    s.execute(text("drop table host_note"))
    return True


@writes("two statements at once")
def _(s: Session, w: World) -> bool:
    s.execute(text("select 1; delete from host_note"))
    return True
