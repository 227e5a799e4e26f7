"""What this room brings to the house."""

from bartizan.foundation.capability import Capability

from . import errors, events
from .routes import routes
from .service import PERMISSIONS
from .settings import IpAllowlistSettings
from .tables import GlobalIpRuleRow, IpRuleRow, IpVersionRow

capability = Capability(
    name="ip_allowlist",
    summary="From which addresses callers may come",
    tables=[IpRuleRow, GlobalIpRuleRow, IpVersionRow],
    permissions=PERMISSIONS,
    events=[
        events.IpRuleCreated,
        events.IpRuleUpdated,
        events.IpRuleDeleted,
        events.IpRulesOverridden,
        events.AddressRefused,
    ],
    errors=[
        errors.AddressNotAllowed,
        errors.IpRulesUnread,
        errors.InvalidIpRule,
        errors.WouldLockYouOut,
        errors.UnknownIpRule,
        errors.TooManyIpRules,
    ],
    routes=routes,
    settings=IpAllowlistSettings,
)
