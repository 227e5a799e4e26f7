"""Engines, transactions, migrations and the two tenant walls."""

from .dialect import insert_into
from .service import Database, Facts
from .settings import DatabaseSettings
from .tables import Json, OrgTable, Table, UtcDateTime
from .wakeups import Wakeups

__all__ = [
    "Database",
    "DatabaseSettings",
    "Facts",
    "Json",
    "OrgTable",
    "Table",
    "UtcDateTime",
    "Wakeups",
    "insert_into",
]
