"""Rules of roles and permissions."""

from .catalogue import ORGANIZATION_PACKS, TEAM_PACKS
from .guards import require_permission
from .rbac import PERMISSIONS, Rbac
from .rules import Rule, attribute, owned

__all__ = [
    "ORGANIZATION_PACKS",
    "PERMISSIONS",
    "TEAM_PACKS",
    "Rbac",
    "Rule",
    "attribute",
    "owned",
    "require_permission",
]
