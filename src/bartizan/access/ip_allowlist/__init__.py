"""From which addresses callers may come."""

from .errors import (
    AddressNotAllowed,
    InvalidIpRule,
    IpRulesUnread,
    TooManyIpRules,
    UnknownIpRule,
    WouldLockYouOut,
)
from .events import AddressRefused, IpRuleCreated, IpRuleDeleted, IpRulesOverridden, IpRuleUpdated
from .service import IpAllowlist
from .settings import IpAllowlistSettings
from .types import (
    DraftIpRule,
    IpForecast,
    IpOverride,
    IpRefusal,
    IpRule,
    IpRuleChanges,
    IpSimulation,
    IpTrial,
    IpVerdict,
    NewIpRule,
)

__all__ = [
    "AddressNotAllowed",
    "AddressRefused",
    "DraftIpRule",
    "InvalidIpRule",
    "IpAllowlist",
    "IpAllowlistSettings",
    "IpForecast",
    "IpOverride",
    "IpRefusal",
    "IpRule",
    "IpRuleChanges",
    "IpRuleCreated",
    "IpRuleDeleted",
    "IpRuleUpdated",
    "IpRulesOverridden",
    "IpRulesUnread",
    "IpSimulation",
    "IpTrial",
    "IpVerdict",
    "NewIpRule",
    "TooManyIpRules",
    "UnknownIpRule",
    "WouldLockYouOut",
]
