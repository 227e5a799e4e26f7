"""Tables of sessions and their refresh tokens."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from bartizan.foundation.database import Table


class SessionRow(Table):
    """One sign-in. Not walled: it is what tells the organization. When it ends, the row goes."""

    __tablename__ = "bz_sessions"

    id: Mapped[str] = mapped_column(String(30), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(30), index=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    """SHA-256 of the token, which only its holder knows."""
    previous_digest: Mapped[str | None] = mapped_column(String(64), unique=True)
    previous_until: Mapped[datetime | None]
    """For requests that were under way when the token was replaced."""
    rotate: Mapped[bool]
    """Whether the token should be replaced, since what its holder may do has changed."""
    org_id: Mapped[str | None] = mapped_column(String(30), index=True)
    team_id: Mapped[str | None] = mapped_column(String(30))
    method: Mapped[str] = mapped_column(String(20))
    device: Mapped[str] = mapped_column(String(80))
    user_agent: Mapped[str | None] = mapped_column(String(400))
    ip: Mapped[str | None] = mapped_column(String(64))
    actor_id: Mapped[str | None] = mapped_column(String(30), index=True)
    """Who really acts, while impersonating ``user_id``."""
    actor_session_id: Mapped[str | None] = mapped_column(String(30))
    reason: Mapped[str | None] = mapped_column(String(400))
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class RefreshRow(Table):
    """One refresh token; used ones stay until they would have expired, so that a second use is noticed."""

    __tablename__ = "bz_sessions_refresh"

    id: Mapped[str] = mapped_column(String(30), primary_key=True)
    session_id: Mapped[str] = mapped_column(
        String(30), ForeignKey("bz_sessions.id", ondelete="CASCADE"), index=True
    )
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    replaced_at: Mapped[datetime | None]


class OwnerLinkRow(Table):
    """The link that makes an owner of the platform; there is one at a time, and it works once."""

    __tablename__ = "bz_sessions_owner_links"

    id: Mapped[str] = mapped_column(String(30), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
