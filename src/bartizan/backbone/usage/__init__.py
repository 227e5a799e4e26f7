"""How much each organization uses the application, and the quotas on that."""

from .errors import InvalidRange, QuotaUsedUp
from .events import QuotaExceeded, QuotaNeared
from .service import Quotas, Usage
from .settings import UsageSettings
from .types import (
    Allowances,
    CallerUsage,
    EndpointUsage,
    Figures,
    Point,
    Quota,
    RawRequest,
    StatusUsage,
    Summary,
)

__all__ = [
    "Allowances",
    "CallerUsage",
    "EndpointUsage",
    "Figures",
    "InvalidRange",
    "Point",
    "Quota",
    "QuotaExceeded",
    "QuotaNeared",
    "QuotaUsedUp",
    "Quotas",
    "RawRequest",
    "StatusUsage",
    "Summary",
    "Usage",
    "UsageSettings",
]
