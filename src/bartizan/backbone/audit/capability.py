"""What this room brings to the house."""

from bartizan.foundation.capability import Capability

from .checks import CHECKS
from .errors import AuditUnavailable, InvalidAuditEntry, UnknownAuditEvent
from .events import SubjectErased
from .routes import routes
from .service import EXPORT, READ, WRITE, Audit
from .settings import AuditSettings
from .tables import AuditDisclosureRow, AuditEventRow, AuditLogRow, AuditSubjectKeyRow

capability = Capability(
    name="audit",
    summary="Who did what, and nobody can change it afterwards",
    tables=[AuditEventRow, AuditDisclosureRow, AuditSubjectKeyRow, AuditLogRow],
    permissions=[READ, WRITE, EXPORT],
    events=[SubjectErased],
    errors=[UnknownAuditEvent, InvalidAuditEntry, AuditUnavailable],
    routes=routes,
    jobs={"audit.drain": Audit.drain},
    settings=AuditSettings,
    checks=CHECKS,
)
