"""Tables of e-mail."""

from datetime import datetime

from sqlalchemy import Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from bartizan.foundation.database import Table


class EmailMessageRow(Table):
    """One e-mail to one address. Not behind the tenant wall: the platform's own have no organization."""

    __tablename__ = "bz_email_messages"
    __table_args__ = (
        Index(None, "org_id", "id"),
        Index(None, "status", "created_at"),
    )

    id: Mapped[str] = mapped_column(String(30), primary_key=True)
    org_id: Mapped[str | None] = mapped_column(String(30))
    template: Mapped[str] = mapped_column(String(60))
    recipient: Mapped[str] = mapped_column(String(320))
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Data and attachments, sealed; gone as soon as a server took the mail."""
    status: Mapped[str] = mapped_column(String(10))
    attempts: Mapped[int]
    last_error: Mapped[str | None] = mapped_column(Text)
    provider: Mapped[str | None] = mapped_column(String(20))
    provider_id: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
