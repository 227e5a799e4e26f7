"""How this room refuses."""

from bartizan.foundation.errors import Invalid, NotFound, Unavailable


class UnknownAuditEvent(NotFound):
    """No such record in this audit log."""


class InvalidAuditEntry(Invalid):
    """This cannot be written to the audit log."""


class AuditUnavailable(Unavailable):
    """The audit log cannot be written, so the change was refused."""
