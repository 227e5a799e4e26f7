"""What the application remembers."""

from datetime import UTC, datetime

from sqlalchemy import Engine, String, create_engine, delete, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    """The application's own tables; Bartizan's stand beside them."""


class Note(Base):
    """A note of one organization."""

    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    org_id: Mapped[str] = mapped_column(String(30), index=True)
    author: Mapped[str] = mapped_column(String(254))
    text: Mapped[str] = mapped_column(String(2000))
    written_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))


class Notebook:
    """The notes of every organization, each asked for by name."""

    def __init__(self, url: str) -> None:
        """Open the database at ``url`` and make the table."""
        self._engine: Engine = create_engine(url)
        Base.metadata.create_all(self._engine)

    def all(self, org_id: str) -> list[Note]:
        """List an organization's notes, newest first."""
        with Session(self._engine, expire_on_commit=False) as session:
            wanted = select(Note).where(Note.org_id == org_id).order_by(Note.id.desc()).limit(100)
            return list(session.scalars(wanted))

    def write(self, org_id: str, author: str, text: str) -> Note:
        """Keep a new note."""
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            note = Note(org_id=org_id, author=author, text=text)
            session.add(note)
        return note

    def remove(self, org_id: str, note_id: int) -> bool:
        """Throw a note away; false if this organization has no such note."""
        with Session(self._engine) as session, session.begin():
            mine = delete(Note).where(Note.org_id == org_id, Note.id == note_id)
            return session.scalar(mine.returning(Note.id)) is not None

    def forget(self, org_id: str) -> None:
        """Throw away everything of an organization that was deleted."""
        with Session(self._engine) as session, session.begin():
            session.execute(delete(Note).where(Note.org_id == org_id))

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()
