"""What this room brings to the house."""

from bartizan.foundation.capability import Capability

from . import errors, events
from .routes import routes
from .service import PERMISSIONS
from .settings import RbacSettings
from .tables import AssignmentRow, GrantRow, RoleRow

capability = Capability(
    name="rbac",
    summary="Roles, permissions, and why somebody may do something",
    tables=[RoleRow, AssignmentRow, GrantRow],
    permissions=[permission for permission in PERMISSIONS if permission.name.startswith("rbac:")],
    events=[
        events.RoleCreated,
        events.RoleUpdated,
        events.RoleDeleted,
        events.RoleAssigned,
        events.RoleUnassigned,
        events.PermissionGranted,
        events.PermissionDenied,
        events.PermissionReset,
    ],
    errors=[
        errors.BuiltInRole,
        errors.CannotConfer,
        errors.LastOwner,
        errors.OwnersHoldEverything,
        errors.PermissionNameUnclear,
        errors.RoleInUse,
        errors.RoleNameTaken,
        errors.TooManyGrants,
        errors.TooManyRoles,
        errors.UnknownGrant,
        errors.UnknownPermission,
        errors.UnknownRole,
        errors.UnknownSubject,
    ],
    routes=routes,
    settings=RbacSettings,
)
