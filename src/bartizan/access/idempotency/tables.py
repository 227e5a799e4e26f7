"""The table of requests that were sent with a key."""

from datetime import datetime

from sqlalchemy import Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from bartizan.foundation.database import OrgTable


class IdempotencyRow(OrgTable):
    """One request: who sent it, what it was (as a keyed digest), and its answer, sealed."""

    __tablename__ = "bz_idempotency"
    __table_args__ = (
        Index("ix_bz_idempotency_expires_at", "expires_at"),
        Index("ix_bz_idempotency_caller", "org_id", "caller_id", "created_at"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Digest of the caller, the organization and the key: the key itself is not kept."""
    caller_id: Mapped[str] = mapped_column(String(200))
    request: Mapped[bytes] = mapped_column(LargeBinary)
    token: Mapped[str] = mapped_column(String(32))
    """Of the run that holds the lease, or did: what another run has taken over, it cannot end."""
    done: Mapped[bool]
    lease_until: Mapped[datetime]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    answer: Mapped[bytes | None] = mapped_column(LargeBinary)
