"""The same host application five times: its models in each style of mapping, knowing nothing of us."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Optional

import sqlmodel
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, Text
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    WriteOnlyMapped,
    mapped_column,
    registry,
    relationship,
)

TABLES = ("host_doc_tag", "host_note", "host_paper", "host_doc", "host_proj", "host_tag")


@dataclass
class World:
    """One host's classes and tables. ``Doc`` is the class whose rows the ways try to reach."""

    metadata: MetaData
    Doc: Any
    Proj: Any
    Tag: Any
    Note: Any
    links: Table

    @property
    def models(self) -> Sequence[Any]:
        """What is adopted."""
        return (self.Proj, self.Tag, self.Doc, self.Note, self.links)

    def doc(self, **values: Any) -> Any:
        """Make a document, whatever its constructor asks for."""
        return self.Doc(**values)


def pairs(metadata: MetaData) -> Table:
    return Table(
        "host_doc_tag",
        metadata,
        Column("doc_id", ForeignKey("host_doc.id"), primary_key=True),
        Column("tag_id", ForeignKey("host_tag.id"), primary_key=True),
    )


def declarative() -> World:
    class Base(DeclarativeBase):
        pass

    links = pairs(Base.metadata)

    class Tag(Base):
        __tablename__ = "host_tag"
        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        name: Mapped[str]

    class Proj(Base):
        __tablename__ = "host_proj"
        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        name: Mapped[str]
        docs: Mapped[list["Doc"]] = relationship(back_populates="proj")
        written: WriteOnlyMapped["Doc"] = relationship(overlaps="docs,proj")

    class Doc(Base):
        __tablename__ = "host_doc"
        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        title: Mapped[str]
        body: Mapped[str] = mapped_column(Text, deferred=True, default="b")
        proj_id: Mapped[int] = mapped_column(ForeignKey("host_proj.id"))
        proj: Mapped[Proj] = relationship(back_populates="docs", overlaps="written")
        tags: Mapped[list[Tag]] = relationship(secondary=links)

    class Note(Base):
        """Known by two columns together."""

        __tablename__ = "host_note"
        doc_id: Mapped[int] = mapped_column(ForeignKey("host_doc.id"), primary_key=True)
        number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        text: Mapped[str]

    return World(Base.metadata, Doc, Proj, Tag, Note, links)


def dataclasses() -> World:
    class Base(MappedAsDataclass, DeclarativeBase, kw_only=True):
        pass

    links = pairs(Base.metadata)

    class Tag(Base):
        __tablename__ = "host_tag"
        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        name: Mapped[str]

    class Proj(Base):
        __tablename__ = "host_proj"
        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        name: Mapped[str]
        docs: Mapped[list["Doc"]] = relationship(back_populates="proj", default_factory=list, repr=False)
        written: WriteOnlyMapped["Doc"] = relationship(overlaps="docs,proj", init=False, repr=False)

    class Doc(Base):
        __tablename__ = "host_doc"
        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        title: Mapped[str]
        body: Mapped[str] = mapped_column(Text, deferred=True, default="b", repr=False)
        proj_id: Mapped[int | None] = mapped_column(ForeignKey("host_proj.id"), default=None, nullable=False)
        proj: Mapped[Proj | None] = relationship(
            back_populates="docs", overlaps="written", default=None, repr=False
        )
        tags: Mapped[list[Tag]] = relationship(secondary=links, default_factory=list, repr=False)

        def __post_init__(self) -> None:
            """Leave what was not given to the other of the two."""
            for name in ("proj", "proj_id"):
                if self.__dict__.get(name, 0) is None:
                    self._sa_instance_state._reset(self.__dict__, name)  # type: ignore[attr-defined]

    class Note(Base):
        __tablename__ = "host_note"
        doc_id: Mapped[int] = mapped_column(ForeignKey("host_doc.id"), primary_key=True)
        number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        text: Mapped[str]

    return World(Base.metadata, Doc, Proj, Tag, Note, links)


def sqlmodels() -> World:
    class Base(sqlmodel.SQLModel, registry=registry()):
        pass

    Base.metadata = MetaData()
    links = pairs(Base.metadata)

    class Tag(Base, table=True):
        __tablename__ = "host_tag"
        id: int = sqlmodel.Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
        name: str

    class Proj(Base, table=True):
        __tablename__ = "host_proj"
        id: int = sqlmodel.Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
        name: str
        docs: list["Doc"] = sqlmodel.Relationship(back_populates="proj")
        written: list["Doc"] = sqlmodel.Relationship(
            sa_relationship=relationship("Doc", lazy="write_only", overlaps="docs,proj")
        )

    class Doc(Base, table=True):
        __tablename__ = "host_doc"
        id: int = sqlmodel.Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
        title: str
        body: str = sqlmodel.Field(default="b", sa_type=Text)
        proj_id: int = sqlmodel.Field(foreign_key="host_proj.id")
        proj: Optional["Proj"] = sqlmodel.Relationship(
            back_populates="docs", sa_relationship_kwargs={"overlaps": "written"}
        )
        tags: list["Tag"] = sqlmodel.Relationship(sa_relationship_kwargs={"secondary": links})

    class Note(Base, table=True):
        __tablename__ = "host_note"
        doc_id: int = sqlmodel.Field(foreign_key="host_doc.id", primary_key=True)
        number: int = sqlmodel.Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
        text: str

    return World(Base.metadata, Doc, Proj, Tag, Note, links)


def imperative() -> World:
    metadata = MetaData()
    mapping = registry(metadata=metadata)
    links = pairs(metadata)
    key: dict[str, Any] = {"primary_key": True, "autoincrement": False}
    tags = Table("host_tag", metadata, Column("id", Integer, **key), Column("name", String, nullable=False))
    projs = Table("host_proj", metadata, Column("id", Integer, **key), Column("name", String, nullable=False))
    docs = Table(
        "host_doc",
        metadata,
        Column("id", Integer, **key),
        Column("title", String, nullable=False),
        Column("body", Text, default="b"),
        Column("proj_id", ForeignKey("host_proj.id"), nullable=False),
    )
    notes = Table(
        "host_note",
        metadata,
        Column("doc_id", ForeignKey("host_doc.id"), primary_key=True),
        Column("number", Integer, **key),
        Column("text", String, nullable=False),
    )

    class Thing:
        def __init__(self, **values: Any) -> None:
            for name, value in values.items():
                setattr(self, name, value)

    class Tag(Thing):
        pass

    class Proj(Thing):
        pass

    class Doc(Thing):
        pass

    class Note(Thing):
        pass

    mapping.map_imperatively(Tag, tags)
    mapping.map_imperatively(
        Proj,
        projs,
        properties={
            "docs": relationship(Doc, back_populates="proj"),
            "written": relationship(Doc, lazy="write_only", overlaps="docs,proj"),
        },
    )
    mapping.map_imperatively(
        Doc,
        docs,
        properties={
            "proj": relationship(Proj, back_populates="docs", overlaps="written"),
            "tags": relationship(Tag, secondary=links),
        },
    )
    mapping.map_imperatively(Note, notes)
    return World(metadata, Doc, Proj, Tag, Note, links)


def inherited() -> World:
    """Documents are papers, which have a table of their own, joined to that of all documents."""

    class Base(DeclarativeBase):
        pass

    links = pairs(Base.metadata)

    class Tag(Base):
        __tablename__ = "host_tag"
        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        name: Mapped[str]

    class Proj(Base):
        __tablename__ = "host_proj"
        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        name: Mapped[str]
        docs: Mapped[list["Paper"]] = relationship(back_populates="proj")
        written: WriteOnlyMapped["Paper"] = relationship(overlaps="docs,proj")

    class Doc(Base):
        __tablename__ = "host_doc"
        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        kind: Mapped[str] = mapped_column(default="paper")
        title: Mapped[str]
        tags: Mapped[list[Tag]] = relationship(secondary=links)
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "doc"}  # noqa: RUF012

    class Paper(Doc):
        __tablename__ = "host_paper"
        id: Mapped[int] = mapped_column(ForeignKey("host_doc.id"), primary_key=True, autoincrement=False)
        body: Mapped[str] = mapped_column(Text, deferred=True, default="b")
        proj_id: Mapped[int] = mapped_column(ForeignKey("host_proj.id"))
        proj: Mapped[Proj] = relationship(back_populates="docs", overlaps="written")
        __mapper_args__ = {"polymorphic_identity": "paper"}  # noqa: RUF012

    class Scroll(Doc):
        """A subclass without a table of its own."""

        __mapper_args__ = {"polymorphic_identity": "scroll"}  # noqa: RUF012

    class Note(Base):
        __tablename__ = "host_note"
        doc_id: Mapped[int] = mapped_column(ForeignKey("host_doc.id"), primary_key=True)
        number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        text: Mapped[str]

    world = World(Base.metadata, Paper, Proj, Tag, Note, links)
    world.__class__ = Inherited
    return world


class Inherited(World):
    """Adopts the class above the one that is used."""

    @property
    def models(self) -> Sequence[Any]:
        """What is adopted: the topmost class, and its subclasses with it."""
        return (self.Proj, self.Tag, self.Doc.__mro__[1], self.Note, self.links)


STYLES: dict[str, Callable[[], World]] = {
    "declarative": declarative,
    "dataclass": dataclasses,
    "sqlmodel": sqlmodels,
    "imperative": imperative,
    "inherited": inherited,
}
