"""Ways that write, through the ORM."""

from sqlalchemy import delete, func, insert, literal, select, text, update
from sqlalchemy.orm import Session

from bartizan.foundation.database.tenancy.scope import across

from .models import A, B, Doc, Note, Proj, Tag, title_of, unscoped, way


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
    s.execute(update(Doc), [{"id": 11, "title": "TAKEN"}])
    return title_of(s) == "TAKEN"


@way("bulk_update_mappings")
def _(s: Session) -> bool:
    s.bulk_update_mappings(Doc, [{"id": 11, "title": "TAKEN"}])
    return title_of(s) == "TAKEN"


@way("bulk_save_objects", held=True)
def _(s: Session) -> bool:
    doc = unscoped(s)
    doc.title = "TAKEN"
    s.bulk_save_objects([doc])
    return title_of(s) == "TAKEN"


@way("flush of a changed foreign object", held=True)
def _(s: Session) -> bool:
    unscoped(s).title = "TAKEN"
    s.flush()
    return title_of(s) == "TAKEN"


@way("flush of a deleted foreign object", held=True)
def _(s: Session) -> bool:
    s.delete(unscoped(s))
    s.flush()
    return True


@way("merge() over a foreign primary key")
def _(s: Session) -> bool:
    s.merge(Doc(id=11, title="TAKEN", proj_id=1))
    s.flush()
    return title_of(s) == "TAKEN"


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
