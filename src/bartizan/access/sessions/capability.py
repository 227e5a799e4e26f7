"""What this room brings to the house."""

from bartizan.foundation.capability import Capability

from . import errors, events
from .jobs import JOBS
from .routes import routes
from .service import END, READ
from .settings import SessionsSettings
from .tables import OwnerLinkRow, RefreshRow, SessionRow

capability = Capability(
    name="sessions",
    summary="Who is signed in, where, and as whom",
    tables=[SessionRow, RefreshRow, OwnerLinkRow],
    permissions=[READ, END],
    events=[
        events.SessionStarted,
        events.SessionEnded,
        events.SessionSwitched,
        events.RefreshReplayed,
        events.ImpersonationStarted,
        events.ImpersonationStopped,
        events.OwnerLinkMade,
        events.OwnerMade,
    ],
    errors=[
        errors.SessionOver,
        errors.TokenOutdated,
        errors.RefreshNotGood,
        errors.RefreshUsedBefore,
        errors.UnknownSession,
        errors.NoSession,
        errors.AlreadyImpersonating,
        errors.NotImpersonating,
        errors.CannotImpersonate,
        errors.OwnerLinkNotGood,
    ],
    routes=routes,
    jobs=JOBS,
    settings=SessionsSettings,
)
