"""How often callers may ask: limits that hold across replicas and cannot be dodged."""

from .backends import shared
from .errors import (
    LimitsUnavailable,
    LimitTarget,
    LimitTooWide,
    RedisNotInstalled,
    SharedLimitsGone,
    TooManyLimits,
    TooManyRequests,
    UnknownLimit,
)
from .events import LimitChanged, LimitRemoved, LimitsDegraded, LimitsExceeded, LimitsRecovered
from .service import How, Limits
from .settings import LimitsSettings, OnFailureSettings
from .types import Bucket, Limit, NewLimit, Scope, Shared, Verdict, Violation

__all__ = [
    "Bucket",
    "How",
    "Limit",
    "LimitChanged",
    "LimitRemoved",
    "LimitTarget",
    "LimitTooWide",
    "Limits",
    "LimitsDegraded",
    "LimitsExceeded",
    "LimitsRecovered",
    "LimitsSettings",
    "LimitsUnavailable",
    "NewLimit",
    "OnFailureSettings",
    "RedisNotInstalled",
    "Scope",
    "Shared",
    "SharedLimitsGone",
    "TooManyLimits",
    "TooManyRequests",
    "UnknownLimit",
    "Verdict",
    "Violation",
    "shared",
]
