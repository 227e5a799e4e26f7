"""Which permissions there are, how their names may be spelled, and what the built-in roles hold."""

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from bartizan.access.rbac.errors import PermissionNameUnclear, UnknownPermission
from bartizan.foundation.context import Permission

_FORM = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*:[a-z][a-z0-9_]*")
_LONGEST = 100

_MEMBER = ("app:*", "orgs:read", "api_keys:read", "api_keys:write")
_OVERSIGHT = ("app:read", "orgs:read", "preferences:read", "identity:read", "audit:read", "events:read")

ORGANIZATION_PACKS: Mapping[str, tuple[str, ...]] = {
    "owner": ("*",),
    "admin": ("*", "!orgs:delete"),
    "developer": (
        *_MEMBER,
        "identity:read",
        "events:read",
        "jobs:read",
        "webhooks:*",
        "flags:*",
        "usage:read",
    ),
    "operator": (
        *_MEMBER,
        *("identity:read", "sessions:*", "audit:read", "events:read", "jobs:*", "email:*", "backups:*"),
        *("limits:*", "usage:read", "rbac:read", "rbac:explain"),
    ),
    "member": _MEMBER,
    "viewer": ("app:read", "orgs:read"),
    "support": (*_OVERSIGHT, "sessions:read", "email:read", "jobs:read", "rbac:explain"),
    "auditor": (*_OVERSIGHT, "audit:export", "rbac:read", "rbac:explain"),
}
"""Built-in roles of an organization, as patterns over the catalogue; ``!`` takes away."""

BUILT_IN_ROLES = tuple(ORGANIZATION_PACKS)
"""Their names, the mightiest first."""

TEAM_PACKS: Mapping[str, tuple[str, ...]] = {
    "owner": ("app:*", "orgs:read", "orgs:team", "orgs:disband"),
    "admin": ("app:*", "orgs:read", "orgs:team"),
    "member": ("app:*", "orgs:read"),
    "viewer": ("app:read", "orgs:read"),
}
"""Built-in roles of a team; what they give counts only inside that team."""

_ELSEWHERE = {
    "user": "member",
    "editor": "member",
    "contributor": "member",
    "superuser": "owner",
    "root": "owner",
    "administrator": "admin",
    "manager": "admin",
    "guest": "viewer",
    "reader": "viewer",
    "read-only": "viewer",
    "readonly": "viewer",
    "ops": "operator",
}
"""What other systems call our roles."""


def role_name(name: str) -> str:
    """Give our name of a role: ``superuser`` is our ``owner``, ``user`` our ``member``."""
    name = name.strip().lower()
    return _ELSEWHERE.get(name, name)


def singular(word: str) -> str:
    """Give the singular of an English plural, well enough to compare two spellings."""
    if word.endswith("ies") and len(word) > len("ties"):
        return f"{word[:-3]}y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def normal(name: str) -> str:
    """Bring every spelling of a permission to one form: ``Invoices.read`` to ``invoice:read``."""
    resource, _, verb = name.strip().lower().replace("-", "_").replace(":", ".").rpartition(".")
    return f"{'.'.join(singular(part) for part in resource.split('.'))}:{verb}"


class Catalogue:
    """All permissions of the house and of the host application."""

    def __init__(self) -> None:
        self._permissions: dict[str, Permission] = {}
        self._spelled: dict[str, str] = {}
        self._extra: dict[str, set[str]] = {}
        self._packs: dict[tuple[str, bool], frozenset[str]] = {}

    def declare(self, permissions: Iterable[Permission], roles: Iterable[str] = ()) -> None:
        """Add permissions; those known already are left as they are."""
        for permission in permissions:
            form = normal(permission.name)
            known = self._spelled.get(form)
            if known is not None and known != permission.name:
                message = f"{permission.name} reads like {known}, which is declared already."
                raise PermissionNameUnclear(message, field="permission")
            if not _FORM.fullmatch(permission.name) or len(permission.name) > _LONGEST:
                message = f"{permission.name[:_LONGEST]!r} is not of the form resource:verb, in lower case."
                raise PermissionNameUnclear(message, field="permission")
            self._permissions.setdefault(permission.name, permission)
            self._spelled[form] = permission.name
            for role in roles:
                self._extra.setdefault(role_name(role), set()).add(permission.name)
        self._packs.clear()

    def parse(self, name: str) -> str:
        """Give the declared name for any spelling of it."""
        found = self._spelled.get(normal(name)) if len(name) <= _LONGEST else None
        if found is None:
            message = f"There is no permission {name[:_LONGEST]!r}."
            raise UnknownPermission(message, field="permission", permission=name[:_LONGEST])
        return found

    def knows(self, name: str) -> bool:
        """Tell whether some spelling of the name is declared."""
        return normal(name) in self._spelled

    def all(self) -> list[Permission]:
        """List what is declared, by name."""
        return [self._permissions[name] for name in sorted(self._permissions)]

    def names(self) -> frozenset[str]:
        """Give the names of what is declared."""
        return frozenset(self._permissions)

    def built_in(self, *, team: bool = False) -> Iterable[str]:
        """Name the built-in roles, the mightiest first."""
        return TEAM_PACKS if team else ORGANIZATION_PACKS

    def pack(self, role: str, *, team: bool = False) -> frozenset[str] | None:
        """Give what a built-in role holds; none for a role that is not built in."""
        found = self._packs.get((role, team))
        if found is None:
            patterns = (TEAM_PACKS if team else ORGANIZATION_PACKS).get(role)
            if patterns is None:
                return None
            found = frozenset(name for name in self._permissions if _matches(name, patterns))
            found |= frozenset(self._extra.get(role, ()))
            self._packs[role, team] = found
        return found


def _matches(name: str, patterns: Iterable[str]) -> bool:
    held = False
    for pattern in patterns:
        if pattern.startswith("!"):
            held = held and not fnmatchcase(name, pattern[1:])
        else:
            held = held or fnmatchcase(name, pattern)
    return held
