"""Engines, transactions, migrations and the two tenant walls."""

from .dialect import insert_into
from .service import Database
from .settings import DatabaseSettings
from .tables import Json, OrgTable, Table, UtcDateTime
from .tenancy.adoption import Adoption, Engines, Finding, Terms

__all__ = [
    "Adoption",
    "Database",
    "DatabaseSettings",
    "Engines",
    "Finding",
    "Json",
    "OrgTable",
    "Table",
    "Terms",
    "UtcDateTime",
    "insert_into",
]
