"""What this room brings to the house."""

from bartizan.foundation.capability import Capability

from . import errors, events
from .routes import routes
from .service import READ, WRITE
from .settings import LimitsSettings
from .tables import AlertRow, LimitRow, ViolationRow

capability = Capability(
    name="limits",
    summary="How often callers may ask",
    tables=[LimitRow, ViolationRow, AlertRow],
    permissions=[READ, WRITE],
    events=[
        events.LimitChanged,
        events.LimitRemoved,
        events.LimitsExceeded,
        events.LimitsDegraded,
        events.LimitsRecovered,
    ],
    errors=[
        errors.TooManyRequests,
        errors.LimitsUnavailable,
        errors.SharedLimitsGone,
        errors.RedisNotInstalled,
        errors.UnknownLimit,
        errors.LimitTarget,
        errors.LimitTooWide,
        errors.TooManyLimits,
    ],
    routes=routes,
    settings=LimitsSettings,
)
