"""Who did what, when, to what, from where, and how it ended; nobody can change it afterwards."""

from .errors import AuditUnavailable, InvalidAuditEntry, UnknownAuditEvent
from .events import SubjectErased
from .service import EXPORT, READ, WRITE, Audit
from .settings import AuditSettings
from .types import AuditActor, AuditEvent, AuditQuery, AuditRecord, AuditTarget, NewAuditEntry

__all__ = [
    "EXPORT",
    "READ",
    "WRITE",
    "Audit",
    "AuditActor",
    "AuditEvent",
    "AuditQuery",
    "AuditRecord",
    "AuditSettings",
    "AuditTarget",
    "AuditUnavailable",
    "InvalidAuditEntry",
    "NewAuditEntry",
    "SubjectErased",
    "UnknownAuditEvent",
]
