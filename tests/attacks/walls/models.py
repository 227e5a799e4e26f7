"""Tables of two organizations, and the list of ways from one to the other."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    select,
    text,
)
from sqlalchemy.orm import Mapped, Session, WriteOnlyMapped, mapped_column, relationship

from bartizan.foundation import ids
from bartizan.foundation.database import OrgTable
from bartizan.foundation.database.tenancy.scope import across

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
