"""Tables of accounts: people, their mailed links, and failed attempts."""

from datetime import datetime

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from bartizan.foundation.database import Table


class UserRow(Table):
    """A person. Not walled: one person can belong to many organizations."""

    __tablename__ = "bz_identity_users"

    id: Mapped[str] = mapped_column(String(30), primary_key=True)
    email: Mapped[str] = mapped_column(String(320), unique=True)
    """Normalised. A deleted account keeps its row, with an address under ``.invalid`` (RFC 2606)."""
    username: Mapped[str | None] = mapped_column(String(40), unique=True)
    full_name: Mapped[str | None] = mapped_column(String(120))
    department: Mapped[str | None] = mapped_column(String(120))
    password_hash: Mapped[str | None] = mapped_column(String(500))
    is_active: Mapped[bool]
    is_operator: Mapped[bool]
    email_verified_at: Mapped[datetime | None]
    traits: Mapped[list[str]]
    last_sign_in_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class LinkRow(Table):
    """A mailed link that works once; only the digest of its token is kept, and one of each kind a person."""

    __tablename__ = "bz_identity_links"
    __table_args__ = (UniqueConstraint("user_id", "purpose"),)

    id: Mapped[str] = mapped_column(String(30), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(30))
    purpose: Mapped[str] = mapped_column(String(20))
    email: Mapped[str] = mapped_column(String(320))
    """Where it was mailed to: it proves nothing about an address that replaced this one."""
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class AttemptRow(Table):
    """Failed attempts of one login, one address, or one login from one address where it succeeded before."""

    __tablename__ = "bz_identity_attempts"

    key: Mapped[str] = mapped_column(String(80), primary_key=True)
    failures: Mapped[int]
    locks: Mapped[int]
    """Locks so far; each makes the next one longer."""
    since: Mapped[datetime]
    locked_until: Mapped[datetime | None]
    forget_at: Mapped[datetime] = mapped_column(index=True)
