"""What this room brings to the house."""

from bartizan.foundation.capability import Capability

from .errors import UnknownEvent
from .routes import routes
from .service import READ
from .tables import EventHeadRow, EventInboxRow, EventRow

capability = Capability(
    name="events",
    summary="What happened, in order and without gaps",
    tables=[EventRow, EventHeadRow, EventInboxRow],
    permissions=[READ],
    errors=[UnknownEvent],
    routes=routes,
)
