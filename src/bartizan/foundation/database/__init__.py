"""Engines, transactions, migrations and the two tenant walls."""

from .service import Database
from .tables import Json, OrgTable, Table, UtcDateTime

__all__ = ["Database", "Json", "OrgTable", "Table", "UtcDateTime"]
