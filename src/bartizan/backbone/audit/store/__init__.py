"""Where records lie: in the database, or for a while in a local file; the only place that speaks SQL."""

from .log import AuditStore, AuditWriter, Batch, Stored, unavailable, unit
from .spool import Spool

__all__ = ["AuditStore", "AuditWriter", "Batch", "Spool", "Stored", "unavailable", "unit"]
