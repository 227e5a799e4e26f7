"""Tables of API keys."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from bartizan.foundation.database import OrgTable


class ApiKeyRow(OrgTable):
    """One key; only a keyed digest of its secret is kept."""

    __tablename__ = "bz_api_keys"
    __table_args__ = (Index("ix_bz_api_keys_owner", "owner_id"),)

    id: Mapped[str] = mapped_column(String(30), primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    hint: Mapped[str] = mapped_column(String(40))
    mode: Mapped[str] = mapped_column(String(4))
    owner_kind: Mapped[str] = mapped_column(String(12))
    owner_id: Mapped[str] = mapped_column(String(30))
    created_by: Mapped[str | None] = mapped_column(String(30))
    scopes: Mapped[list[str]]
    rate_limit: Mapped[int | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    replaced_by: Mapped[str | None] = mapped_column(String(30))
    last_used_at: Mapped[datetime | None]
    uses: Mapped[int] = mapped_column(BigInteger, default=0)
