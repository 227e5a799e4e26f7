"""E-mail: rendered in each organization's look, queued with the change it is about, retried until taken."""

from .backends import provider
from .errors import (
    BrokenTemplate,
    DeliveryDelayed,
    DeliveryRefused,
    InvalidAddress,
    InvalidAttachment,
    UnknownEmail,
    UnknownTemplate,
    UnreadableMail,
)
from .events import EmailFailed, EmailSent
from .service import Email
from .settings import EmailSettings
from .types import Attachment, Outgoing, Provider, Receipt, Status
from .types import Email as EmailRecord

__all__ = [
    "Attachment",
    "BrokenTemplate",
    "DeliveryDelayed",
    "DeliveryRefused",
    "Email",
    "EmailFailed",
    "EmailRecord",
    "EmailSent",
    "EmailSettings",
    "InvalidAddress",
    "InvalidAttachment",
    "Outgoing",
    "Provider",
    "Receipt",
    "Status",
    "UnknownEmail",
    "UnknownTemplate",
    "UnreadableMail",
    "provider",
]
