"""What this room brings to the house."""

from bartizan.foundation.capability import Capability

from .errors import InvalidRange, QuotaUsedUp
from .events import QuotaExceeded, QuotaNeared
from .routes import routes
from .service import READ, Usage
from .settings import UsageSettings
from .tables import (
    UsageCallerRow,
    UsageCountRow,
    UsageMarkRow,
    UsageRequestsRow,
    UsageTotalRow,
    UsageWriterRow,
)

capability = Capability(
    name="usage",
    summary="How much each organization uses the application, and the quotas on that",
    tables=[
        UsageCountRow,
        UsageCallerRow,
        UsageTotalRow,
        UsageMarkRow,
        UsageRequestsRow,
        UsageWriterRow,
    ],
    permissions=[READ],
    events=[QuotaNeared, QuotaExceeded],
    errors=[InvalidRange, QuotaUsedUp],
    routes=routes,
    jobs={"usage.prune": Usage.prune},
    settings=UsageSettings,
)
