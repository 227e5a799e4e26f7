"""What this room brings to the house."""

from bartizan.foundation.capability import Capability

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
from .routes import routes
from .service import READ, SEND, Email
from .settings import EmailSettings
from .tables import EmailMessageRow

capability = Capability(
    name="email",
    summary="E-mail that is never lost, in each organization's own look",
    tables=[EmailMessageRow],
    permissions=[READ, SEND],
    events=[EmailSent, EmailFailed],
    errors=[
        UnknownEmail,
        InvalidAddress,
        InvalidAttachment,
        UnknownTemplate,
        UnreadableMail,
        BrokenTemplate,
        DeliveryDelayed,
        DeliveryRefused,
    ],
    routes=routes,
    jobs={"email.deliver": Email.deliver, "email.purge": Email.purge},
    settings=EmailSettings,
)
