"""Rules of roles and permissions."""

from .catalogue import BUILT_IN_ROLES, ORGANIZATION_PACKS, TEAM_PACKS
from .guards import require_permission
from .rbac import PERMISSIONS, Rbac
from .rules import Rule, attribute, owned

__all__ = [
    "BUILT_IN_ROLES",
    "ORGANIZATION_PACKS",
    "PERMISSIONS",
    "TEAM_PACKS",
    "Rbac",
    "Rule",
    "attribute",
    "owned",
    "require_permission",
]
