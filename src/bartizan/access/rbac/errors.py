"""How this room refuses."""

from bartizan.foundation.errors import Conflict, Forbidden, Invalid, NotFound


class UnknownPermission(Invalid):
    """No such permission is declared."""


class PermissionNameUnclear(Invalid):
    """The permission's name is not ``resource:verb``, or reads like one that is declared already."""


class UnknownRole(NotFound):
    """No such role in this organization."""


class UnknownGrant(NotFound):
    """No such grant or denial in this organization."""


class UnknownSubject(NotFound):
    """This person has no role in this organization."""


class RoleNameTaken(Conflict):
    """A role of this name exists already."""


class RoleInUse(Conflict):
    """Somebody still has this role; give them another one first."""


class BuiltInRole(Conflict):
    """Built-in roles are the same everywhere and cannot be changed; make a role of your own."""


class TooManyRoles(Conflict):
    """The organization has as many roles of its own as it may have."""


class TooManyGrants(Conflict):
    """The person has as many grants and denials as one may have."""


class CannotConfer(Forbidden):
    """Nobody can give, take or withhold a permission that they do not hold themselves."""


class LastOwner(Conflict):
    """An organization needs an active owner; make somebody else owner first."""


class OwnersHoldEverything(Conflict):
    """Nothing can be withheld from an owner; give them another role first."""
