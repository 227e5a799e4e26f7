"""Tables of secrets: one row per version."""

from datetime import datetime

from sqlalchemy import LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from bartizan.foundation.database import OrgTable, Table


class SecretColumns:
    """What one version of a secret consists of; its value is sealed by the keyring."""

    id: Mapped[str] = mapped_column(String(30), primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    version: Mapped[int]
    newest: Mapped[bool]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    description: Mapped[str] = mapped_column(String(500))
    created_at: Mapped[datetime]
    set_at: Mapped[datetime]
    set_by: Mapped[str] = mapped_column(String(80))


class SecretRow(SecretColumns, OrgTable):
    """One version of a secret of an organization."""

    __tablename__ = "bz_secrets"
    __table_args__ = (UniqueConstraint("org_id", "name", "version"),)


class PlatformSecretRow(SecretColumns, Table):
    """One version of a secret of the platform itself."""

    __tablename__ = "bz_secrets_platform"
    __table_args__ = (UniqueConstraint("name", "version"),)
