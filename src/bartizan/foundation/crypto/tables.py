"""Where signing keys are kept."""

from datetime import datetime
from typing import Any

from sqlalchemy import LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from bartizan.foundation.database import Table


class SigningKeyRow(Table):
    """One signing key."""

    __tablename__ = "bz_crypto_signing_keys"

    kid: Mapped[str] = mapped_column(String(43), primary_key=True)
    generation: Mapped[int] = mapped_column(unique=True)
    """Counts up by one: of two replicas that rotate at the same moment, one finds its number taken."""
    public: Mapped[dict[str, Any]]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]
