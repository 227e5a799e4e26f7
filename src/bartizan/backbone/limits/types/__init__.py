"""What is counted, what comes of it, and the shapes that go in and out."""

from .bucket import CALLERS, STRANGERS, Bucket, Scope, Verdict
from .limits import (
    PLATFORM,
    Hit,
    Limit,
    NewLimit,
    OrgId,
    ScopeAsked,
    SettableScope,
    Since,
    TargetAsked,
    Violation,
)
from .shared import Shared

__all__ = [
    "CALLERS",
    "PLATFORM",
    "STRANGERS",
    "Bucket",
    "Hit",
    "Limit",
    "NewLimit",
    "OrgId",
    "Scope",
    "ScopeAsked",
    "SettableScope",
    "Shared",
    "Since",
    "TargetAsked",
    "Verdict",
    "Violation",
]
