"""Tables of usage.

Moments are whole seconds since 1970 in UTC: rows are found, added to and pruned by them, and never shown as
they lie here. What is counted is added up by whoever writes, so every replica writes to the same rows.
"""

from typing import Any

from sqlalchemy import BigInteger, Index, SmallInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from bartizan.foundation.database import OrgTable, Table

_CLUSTERED: dict[str, Any] = {"sqlite_with_rowid": False}


class _Counted(OrgTable):
    """What is counted for an organization."""

    __abstract__ = True

    org_id: Mapped[str] = mapped_column(String(30), primary_key=True, sort_order=-1)
    """The organization, or ``platform`` for requests that act for none."""


class UsageCountRow(_Counted):
    """Requests of one organization in one hour or day: one endpoint, one status, one band of latency."""

    __tablename__ = "bz_usage_counts"
    __table_args__ = (Index(None, "grain", "start"), _CLUSTERED)

    grain: Mapped[str] = mapped_column(String(4), primary_key=True)
    """``hour`` or ``day``."""
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    method: Mapped[str] = mapped_column(String(16), primary_key=True)
    route: Mapped[str] = mapped_column(String(200), primary_key=True)
    """The template, such as ``/notes/{note_id}``; never a path."""
    status: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    band: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    """Latency from 2 to the power of ``(band - 1) / 2`` up to 2 to that of ``band / 2``, in microseconds."""
    requests: Mapped[int] = mapped_column(BigInteger)
    micros: Mapped[int] = mapped_column(BigInteger)
    """Microseconds, all requests together."""


class UsageCallerRow(_Counted):
    """Requests of one caller of an organization in one hour or day."""

    __tablename__ = "bz_usage_callers"
    __table_args__ = (Index(None, "grain", "start"), _CLUSTERED)

    grain: Mapped[str] = mapped_column(String(4), primary_key=True)
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    caller_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    """A person or an API key, ``anonymous``, or ``other``."""
    requests: Mapped[int] = mapped_column(BigInteger)
    micros: Mapped[int] = mapped_column(BigInteger)
    client_errors: Mapped[int] = mapped_column(BigInteger)
    server_errors: Mapped[int] = mapped_column(BigInteger)


class UsageTotalRow(_Counted):
    """What counts against the quotas of an organization in one day or month."""

    __tablename__ = "bz_usage_totals"
    __table_args__ = (Index(None, "period", "start"), _CLUSTERED)

    period: Mapped[str] = mapped_column(String(5), primary_key=True)
    """``day`` or ``month``."""
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    requests: Mapped[int] = mapped_column(BigInteger)


class UsageMarkRow(_Counted):
    """That an organization was told about one of its quotas, so that it is told once."""

    __tablename__ = "bz_usage_marks"
    __table_args__ = (Index(None, "start"), _CLUSTERED)

    resource: Mapped[str] = mapped_column(String(40), primary_key=True)
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    quota: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    told: Mapped[str] = mapped_column(String(10), primary_key=True)
    """``neared`` or ``exceeded``."""


class UsageRequestsRow(_Counted):
    """Some of the latest requests of an organization, one by one.

    They lie in bundles, because a row for each request would cost more than the request's own counting.
    """

    __tablename__ = "bz_usage_requests"
    __table_args__ = (Index(None, "id"), _CLUSTERED)

    id: Mapped[str] = mapped_column(String(30), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    body: Mapped[str] = mapped_column(Text)
    """JSON: a list of [time, method, route, status, microseconds, caller, request], the oldest first."""


class UsageWriterRow(Table):
    """How far a process has come with writing, so that nothing it repeats is added twice."""

    __tablename__ = "bz_usage_writers"
    __table_args__ = (Index(None, "seen"),)

    id: Mapped[str] = mapped_column(String(30), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger)
    seen: Mapped[int] = mapped_column(BigInteger)
