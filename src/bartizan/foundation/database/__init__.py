"""Engines, transactions, migrations and the two tenant walls."""

from .dialect import insert_into
from .service import Database, Facts
from .settings import DatabaseSettings
from .tables import Json, OrgTable, Table, UtcDateTime
from .tenancy.adoption import Adoption, Engines, Finding, Terms
from .wakeups import Wakeups

__all__ = [
    "Adoption",
    "Database",
    "DatabaseSettings",
    "Engines",
    "Facts",
    "Finding",
    "Json",
    "OrgTable",
    "Table",
    "Terms",
    "UtcDateTime",
    "Wakeups",
    "insert_into",
]
