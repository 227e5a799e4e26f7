"""The base of every table, and the column types that behave alike on SQLite and PostgreSQL."""

import json
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, ClassVar, Final

from sqlalchemy import DateTime, Double, MetaData, String, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine

from .tenancy import TenantWall, WalledSession
from .tenancy.scope import own


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment in UTC; a naive one is refused. Microseconds are kept."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Store with a zone where the database knows zones."""
        return dialect.type_descriptor(DateTime(timezone=dialect.name == "postgresql"))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn into UTC on the way in."""
        if value is None:
            return None
        if value.tzinfo is None:
            message = "A moment without a time zone cannot be stored."
            raise ValueError(message)
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give back aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Json(TypeDecorator[Any]):
    """A JSON value: JSONB on PostgreSQL, text on SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Use the database's own JSON where it has a binary one."""
        if dialect.name != "postgresql":
            return dialect.type_descriptor(Text())
        return dialect.type_descriptor(import_module("sqlalchemy.dialects.postgresql").JSONB())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Write as text on SQLite; asyncpg's JSONB codec does it on PostgreSQL."""
        if value is None or dialect.name == "postgresql":
            return value
        return json.dumps(value, separators=(",", ":"))

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Read what was written."""
        return value if value is None or dialect.name == "postgresql" else json.loads(value)


class Table(DeclarativeBase):
    """Every row of ours; all tables begin with ``bz_`` so that they can live beside a host's own."""

    __abstract__ = True
    metadata: ClassVar[MetaData] = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime(),
        dict[str, Any]: Json(),
        list[str]: Json(),
        str: String(),
        float: Double(),  # which SQLAlchemy 2.0 would make a FLOAT
    }


class OrgTable(Table):
    """A table whose rows belong to one organization: both tenant walls stand around it."""

    __abstract__ = True

    org_id: Mapped[str] = mapped_column(String(30), index=True, default=own)
    """Stamped with the current organization, on bulk and Core inserts too."""


WALL: Final = TenantWall(OrgTable)
"""The first wall around every :class:`OrgTable`."""
WALL.install(WalledSession)
