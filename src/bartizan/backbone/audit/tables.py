"""Tables of the audit log: records that nobody may change, and personal details that can be erased.

The statements that make the database itself refuse a change are in ``APPEND_ONLY`` and in
``AuditEventRow.__table__.info["ddl"]``, by dialect, for whoever writes migrations.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import DDL, BigInteger, DefaultClause, Index, Integer, LargeBinary, String, event
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import UserDefinedType

from bartizan.foundation.database import Table

_REFUSAL = "the audit log is append-only"
APPEND_ONLY: dict[str, tuple[str, ...]] = {
    "postgresql": (
        f"""
        CREATE OR REPLACE FUNCTION bz_audit_append_only() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION '{_REFUSAL}' USING ERRCODE = 'insufficient_privilege'; END $$
        """,
        """
        CREATE OR REPLACE TRIGGER bz_audit_events_no_change BEFORE UPDATE OR DELETE ON bz_audit_events
        FOR EACH ROW EXECUTE FUNCTION bz_audit_append_only()
        """,
        """
        CREATE OR REPLACE TRIGGER bz_audit_events_no_truncate BEFORE TRUNCATE ON bz_audit_events
        FOR EACH STATEMENT EXECUTE FUNCTION bz_audit_append_only()
        """,
    ),
    "sqlite": (
        f"""
        CREATE TRIGGER IF NOT EXISTS bz_audit_events_no_update BEFORE UPDATE ON bz_audit_events
        BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END
        """,
        f"""
        CREATE TRIGGER IF NOT EXISTS bz_audit_events_no_delete BEFORE DELETE ON bz_audit_events
        BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END
        """,
    ),
}


class TransactionId(UserDefinedType[Any]):
    """PostgreSQL's 64-bit transaction id; on SQLite, where writers take turns, an unused integer."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Name the type on PostgreSQL."""
        return "xid8"


class CurrentTransaction(FunctionElement[Any]):
    """The id of the running transaction."""

    inherit_cache = True


@compiles(TransactionId, "sqlite")
def _integer(_element: Any, _compiler: Any, **_: Any) -> str:
    return "INTEGER"


@compiles(CurrentTransaction)
def _current(_element: Any, _compiler: Any, **_: Any) -> str:
    return "pg_current_xact_id()"


@compiles(CurrentTransaction, "sqlite")
def _none(_element: Any, _compiler: Any, **_: Any) -> str:
    return "NULL"


class AuditLogRow(Table):
    """One log: an organization's, or the platform's own."""

    __tablename__ = "bz_audit_logs"

    log_id: Mapped[str] = mapped_column(String(30), primary_key=True)
    """The organization's id, or ``platform``. No foreign key: the log outlives the organization."""
    org_id: Mapped[str | None] = mapped_column(String(30))
    origin: Mapped[str] = mapped_column(String(200), unique=True)
    """The log's name for verifiers (C2SP tlog-checkpoint, "origin")."""
    created_at: Mapped[datetime]


class AuditEventRow(Table):
    """One record. The body is the truth; the other columns are only there to search by."""

    __tablename__ = "bz_audit_events"
    __table_args__ = (
        Index(None, "log_id", "occurred_at"),
        Index(None, "log_id", "actor_id", "occurred_at"),
        Index(None, "log_id", "action", "occurred_at"),
        Index(None, "log_id", "target_id", "occurred_at"),
        Index(None, "log_id", "request_id"),
        Index(None, "xid"),
        {"sqlite_autoincrement": True, "info": {"ddl": APPEND_ONLY}},
    )

    number: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    id: Mapped[str] = mapped_column(String(30), unique=True)
    xid: Mapped[Any] = mapped_column(
        TransactionId(), server_default=DefaultClause(CurrentTransaction()), nullable=True
    )
    """Which transaction wrote it: tells a sequencer which rows became visible since it last looked."""
    log_id: Mapped[str] = mapped_column(String(30))
    org_id: Mapped[str | None] = mapped_column(String(30))
    occurred_at: Mapped[datetime]
    action: Mapped[str] = mapped_column(String(100))
    actor_type: Mapped[str] = mapped_column(String(16))
    actor_id: Mapped[str | None] = mapped_column(String(100))
    on_behalf_of: Mapped[str | None] = mapped_column(String(100))
    target_type: Mapped[str | None] = mapped_column(String(100))
    target_id: Mapped[str | None] = mapped_column(String(200))
    outcome: Mapped[str] = mapped_column(String(16))
    request_id: Mapped[str | None] = mapped_column(String(200))
    method: Mapped[str | None] = mapped_column(String(16))
    path: Mapped[str | None] = mapped_column(String(500))
    ip_mac: Mapped[str | None] = mapped_column(String(32))
    """A keyed hash of the address: it can be searched for, but not read."""
    body: Mapped[bytes] = mapped_column(LargeBinary)
    """Restricted JCS (RFC 8785), byte for byte as it was hashed."""
    leaf: Mapped[bytes] = mapped_column(LargeBinary(32))
    """SHA-256 of 0x00 and the body (RFC 9162, section 2.1.1)."""


class AuditDisclosureRow(Table):
    """The personal details of one record about one person, sealed; gone after an erasure."""

    __tablename__ = "bz_audit_disclosures"

    event_id: Mapped[str] = mapped_column(String(30), primary_key=True)
    subject_id: Mapped[str] = mapped_column(String(100), primary_key=True, index=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class AuditSubjectKeyRow(Table):
    """The key that opens what the audit log knows about one person; without it nobody can."""

    __tablename__ = "bz_audit_subject_keys"

    subject_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    wrapped: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    erased_at: Mapped[datetime | None]


for _dialect, _statements in APPEND_ONLY.items():
    for _statement in _statements:
        event.listen(
            AuditEventRow.__table__,
            "after_create",
            DDL(_statement).execute_if(dialect=_dialect),  # type: ignore[no-untyped-call]
        )
