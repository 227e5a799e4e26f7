"""The policy file: which routes of the app need what, in TOML."""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from bartizan.access.rbac import BUILT_IN_ROLES, PermissionNameUnclear, Rbac
from bartizan.foundation.context import Permission

from .errors import InvalidPolicy
from .paths import is_plain
from .survey import SOCKET

FILE = "bartizan.policy.toml"
PUBLIC, DENY, ANY = "public", "deny", "*"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", SOCKET)
_TABLES = ("permissions", "routes")
_SEGMENT = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\}")
_DESCRIBED = frozenset({"description", "roles"})
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Line:
    """One route of the file: its methods (none: all), its pattern, and what it needs."""

    text: str
    methods: frozenset[str] | None
    pattern: str
    need: str | tuple[str, ...]
    """``public``, ``deny``, a permission, or the roles that may."""
    place: str


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """What a policy file says. The permissions that it names are looked up when the server starts."""

    path: Path
    permissions: tuple[tuple[Permission, tuple[str, ...]], ...] = ()
    lines: tuple[Line, ...] = ()

    @classmethod
    def read(cls, path: Path) -> "PolicyFile":
        """Read a file; ``InvalidPolicy`` lists everything that is wrong with it, each with its line."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidPolicy([f"{path} cannot be read: {getattr(error, 'strerror', error)}."]) from error
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise InvalidPolicy([f"{path}: it is not TOML: {error}."]) from error
        return _Reader(path, text).read(data)

    def declare(self, rbac: Rbac) -> None:
        """Make the file's own permissions known, so that roles can carry them."""
        for permission, roles in self.permissions:
            try:
                rbac.declare(permission, roles=roles)
            except PermissionNameUnclear as error:
                raise InvalidPolicy([f"{self.path}: {error}"]) from error

    def needs(self, rbac: Rbac) -> Sequence[tuple[Line, str]]:
        """Give what each route needs, as permissions; ``InvalidPolicy`` names those that nobody declared."""
        problems: list[str] = []
        found: list[tuple[Line, str]] = []
        for line in self.lines:
            need = line.need
            if isinstance(need, tuple):
                need = _for_roles(rbac, need)
            elif need not in {PUBLIC, DENY}:
                if not rbac.knows(need):
                    cure = "Declare it in [permissions], or in code: bz.rbac.declare(Permission(...))."
                    hint = near(need, rbac.names(), 0.75) or cure
                    problems.append(f"{line.place}: there is no permission {need!r}. {hint}")
                    continue
                need = rbac.parse(need)
            found.append((line, need))
        if problems:
            raise InvalidPolicy(problems)
        return found


def near(word: str, words: Iterable[str], alike: float = 0.6) -> str:
    """Ask whether another word was meant, if there is one like it."""
    found = difflib.get_close_matches(word, list(words), n=1, cutoff=alike)
    return f"Did you mean {found[0]!r}?" if found else ""


def _for_roles(rbac: Rbac, roles: Sequence[str]) -> str:
    """Give the permission that exactly these roles hold, and owners and admins, who hold everything."""
    names = sorted(set(roles))
    permission = f"routes:{'_or_'.join(names)}"
    rbac.declare(Permission(permission, f"Use the routes that are for {' or '.join(names)}"), roles=names)
    return permission


def _facts(value: object) -> Mapping[str, object]:
    if isinstance(value, dict):
        return cast("Mapping[str, object]", value)
    return {"description": value}


class _Reader:
    """Turns TOML into lines, and collects what is wrong."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._text = text.splitlines()
        self._problems: list[str] = []

    def read(self, data: Mapping[str, Any]) -> PolicyFile:
        for name in data.keys() - set(_TABLES):
            hint = near(name, _TABLES) or f"It has {' and '.join(f'[{table}]' for table in _TABLES)}."
            self._problems.append(f"{self._place(name)}: there is no table [{name}]. {hint}")
        permissions = [self._permission(*item) for item in self._table(data, "permissions").items()]
        routes = self._table(data, "routes")
        if len(routes) > _MOST:
            self._problems.append(f"{self._path}: it has more than {_MOST} routes.")
        seen: dict[tuple[str, str], str] = {}
        lines = [self._line(key, value, seen) for key, value in list(routes.items())[:_MOST]]
        if self._problems:
            raise InvalidPolicy(self._problems)
        return PolicyFile(
            self._path,
            tuple(found for found in permissions if found),
            tuple(found for found in lines if found),
        )

    def _table(self, data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        found = data.get(name, {})
        if not isinstance(found, dict):
            self._problems.append(f"{self._place(name)}: {name} is a table: write [{name}].")
            return {}
        return cast("Mapping[str, Any]", found)

    def _place(self, key: str) -> str:
        """Find the line where a key stands: TOML readers do not tell."""
        key_at_start = re.compile(rf"\s*[\[\"']*{re.escape(key)}[\]\"'\s=]")
        for number, line in enumerate(self._text, 1):
            if key_at_start.match(line):
                return f"{self._path}:{number}"
        return str(self._path)

    def _permission(self, name: str, value: object) -> tuple[Permission, tuple[str, ...]] | None:
        given = _facts(value)
        description, roles = given.get("description"), given.get("roles", [])
        if not isinstance(description, str) or not isinstance(roles, list) or given.keys() - _DESCRIBED:
            self._problems.append(
                f"{self._place(name)}: {name!r} is described by a text, or by "
                '{ description = "...", roles = ["member"] }.'
            )
            return None
        return Permission(name, description), self._roles(cast("list[object]", roles), self._place(name))

    def _line(self, key: str, value: object, seen: dict[tuple[str, str], str]) -> Line | None:
        place = self._place(key)
        verbs, _, pattern = key.partition(" ")
        pattern = pattern.strip()
        before = len(self._problems)
        methods = self._methods(verbs, place, key)
        self._pattern(pattern, place)
        need = self._need(value, place)
        shape = _SEGMENT.sub("{}", pattern)
        for method in sorted(methods) if methods else [ANY]:
            if (other := seen.setdefault((method, shape), key)) != key:
                self._problems.append(f"{place}: {key!r} says the same route as {other!r}.")
        if need is None or len(self._problems) > before:
            return None
        return Line(key, methods, pattern, need, place)

    def _methods(self, verbs: str, place: str, key: str) -> frozenset[str] | None:
        if verbs == ANY:
            return None
        methods = verbs.split(",")
        for method in methods:
            if method not in METHODS:
                hint = (
                    near(method.upper(), METHODS) or "Write it as 'GET /path', or '* /path' for all methods."
                )
                self._problems.append(f"{place}: {key!r} does not begin with a method. {hint}")
        return frozenset(methods)

    def _pattern(self, pattern: str, place: str) -> None:
        parts = pattern.split("/")
        if parts[0] or len(parts) == 1:
            self._problems.append(f"{place}: {pattern!r} is not a path: it begins with a slash.")
        elif not is_plain(pattern):
            self._problems.append(
                f"{place}: {pattern!r} is not plain: no dot segments, doubled slashes, escapes."
            )
        for at, part in enumerate(parts):
            if part == ANY and at == len(parts) - 1:
                continue
            if "*" in part:
                self._problems.append(
                    f"{place}: in {pattern!r}, * stands for the rest of a path: only after the last slash. "
                    "Write {name} for one segment."
                )
            elif ("{" in part or "}" in part) and not _SEGMENT.fullmatch(part):
                self._problems.append(
                    f"{place}: {part!r} is not a parameter: write {{name}}, a whole segment."
                )

    def _need(self, value: object, place: str) -> str | tuple[str, ...] | None:
        if isinstance(value, list) and value:
            return self._roles(cast("list[object]", value), place)
        if isinstance(value, str) and (value in {PUBLIC, DENY} or ":" in value or "." in value):
            return value
        hint = ""
        if isinstance(value, str):
            hint = near(value, [PUBLIC, DENY])
            if value in BUILT_IN_ROLES:
                hint = f'Roles are a list: write ["{value}"].'
        hint = hint or 'Write "public", "deny", a permission, or a list of roles.'
        self._problems.append(f"{place}: {value!r} is no need. {hint}")
        return None

    def _roles(self, roles: Sequence[object], place: str) -> tuple[str, ...]:
        for role in roles:
            if not isinstance(role, str) or role not in BUILT_IN_ROLES:
                cure = "For a role of an organization's own, name a permission and give it to the role."
                hint = near(str(role), BUILT_IN_ROLES) or cure
                self._problems.append(f"{place}: there is no built-in role {role!r}. {hint}")
        return tuple(str(role) for role in roles)
