"""Deciding what a request needs: nothing, a permission, or what nobody has."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bartizan.access.rbac import BUILT_IN_ROLES, PermissionNameUnclear, Rbac
from bartizan.foundation.context import Permission
from bartizan.foundation.settings import GuardSettings

from .errors import InvalidPolicy
from .file import DENY, FILE, PUBLIC, Line, PolicyFile, near
from .paths import Patterns, is_plain, segments, tidied
from .survey import SOCKET, HostRoute, survey

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
NOTHING, NOBODY = "nothing", "nobody"
_IMPLIED = frozenset({"HEAD", "OPTIONS"})
_MANY = ("GET", "POST", "PUT", "PATCH", "DELETE")
READ, WRITE = "app:read", "app:write"
Source = Literal["decorator", "file", "public_paths", "read_routes", "default"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a request needs, and what says so."""

    need: str
    """``nothing``; ``nobody``, where the route is closed; else a permission."""
    source: Source
    entry: str = ""


@dataclass(frozen=True, slots=True)
class _Learned:
    """What start-up made of the decorators and of the file."""

    endpoints: Patterns[Verdict | None]
    rules: Patterns[Verdict]
    readings: Patterns[Verdict]
    """The same rules, met by the plainest reading of a path."""


class Policy:
    """Default deny: every path needs a caller, and every method but the safe ones may change things.

    In order of strength: what a decorator says of an endpoint, the policy file, the settings
    ``public_paths`` and ``read_routes``, then ``app:read`` or ``app:write``. Of the file's routes the most
    specific one counts, whatever their order.

    Paths are taken as the server decoded them, because that is what the app routes by. Whatever opens a
    route needs the path exactly as written; whatever closes one also holds for paths that an app might
    read the same way, and an odd spelling of those is refused to everybody.
    """

    def __init__(
        self,
        public: Sequence[str] = (),
        reads: Sequence[str] = (),
        *,
        file: PolicyFile | None = None,
        rbac: Rbac | None = None,
        host: object = None,
    ) -> None:
        """Take the settings' lists, where ``ValueError`` names an entry that is no pattern."""
        self._public = tuple(_pattern(text) for text in public)
        self._reads = tuple(_route(text) for text in reads)
        self._file = file
        self._rbac = rbac
        self._host = host
        self._learned: _Learned | None = None

    @classmethod
    def of(cls, settings: GuardSettings, rbac: Rbac, host: object) -> "Policy":
        """Make the policy of a house in front of a host; ``InvalidPolicy`` says what is wrong with its file.

        The permissions that the file describes are declared at once.
        """
        file = policy_file(settings)
        if file is not None:
            file.declare(rbac)
        return cls(settings.public_paths, settings.read_routes, file=file, rbac=rbac, host=host)

    def need(self, method: str, path: str) -> str:
        """Tell what a request needs: ``nothing``, a permission, or ``nobody``.

        ``path`` is what the app routes by: decoded, without the ``root_path``. The method of a websocket is
        ``WEBSOCKET``. Pure once ``learn`` was called, so that answers may be kept.
        """
        return self.judge(method, path).need

    def judge(self, method: str, path: str) -> Verdict:
        """Tell what a request needs, and what says so."""
        learned = self._learned or self.learn()
        plain = is_plain(path)
        if learned.endpoints:
            said = learned.endpoints.find(method, path)
            if said is not None and (plain or said.need != NOTHING):
                return said
        return self._ruled(learned, method, path, plain=plain)

    def coverage(self, routes: Iterable[HostRoute]) -> Iterator[tuple[str, str, Verdict]]:
        """Give every method and template of a host's routes with what is said about it."""
        learned = self._learned or self.learn()
        for route in routes:
            methods = set(route.methods or _MANY)
            for method in sorted(methods - _IMPLIED or methods):
                said = self._marked(route, []) or self._ruled(learned, method, route.template, plain=True)
                yield method, route.template, said

    @property
    def texts(self) -> Sequence[str]:
        """Give the routes of the file as they are written."""
        return [line.text for line in self._file.lines] if self._file else []

    def check(self) -> None:
        """Refuse with ``InvalidPolicy`` what is wrong with the decorators and the file so far."""
        self._look()

    def learn(self) -> _Learned:
        """Look at the host's routes and look up every permission; ``InvalidPolicy`` lists what is wrong.

        To be called once the host has started, since it may add routes while it does; the first ``need``
        does it otherwise. Calling it again looks again.
        """
        self._learned = self._look()
        return self._learned

    def _look(self) -> _Learned:
        rules: Patterns[Verdict] = Patterns()
        readings: Patterns[Verdict] = Patterns()
        problems: list[str] = []
        endpoints = self._endpoints(problems)
        if self._file is not None and self._rbac is not None:
            try:
                for line, permission in sorted(self._file.needs(self._rbac), key=_specificity):
                    verdict = Verdict(_WORDS.get(permission, permission), "file", line.text)
                    methods = _with_head(line.methods)
                    rules.add(segments(line.pattern), methods, verdict)
                    readings.add(segments(tidied(line.pattern)), methods, verdict)
            except InvalidPolicy as error:
                problems += error.facts["problems"]
        if problems:
            raise InvalidPolicy(problems)
        return _Learned(endpoints, rules, readings)

    def _ruled(self, learned: _Learned, method: str, path: str, *, plain: bool) -> Verdict:
        """Ask the file, then the settings, then the default."""
        if learned.rules and (said := _filed(learned, method, path, plain=plain)) is not None:
            return said
        if plain and method != SOCKET and any(_matches(pattern, path) for pattern in self._public):
            return Verdict(NOTHING, "public_paths")
        if method in SAFE or method == SOCKET:
            return Verdict(READ, "default")
        if plain and any(method == verb and _matches(pattern, path) for verb, pattern in self._reads):
            return Verdict(READ, "read_routes")
        return Verdict(WRITE, "default")

    def _endpoints(self, problems: list[str]) -> Patterns[Verdict | None]:
        """Take down all routes, marked or not: the first that a path meets is the one that answers."""
        routes = survey(self._host)
        endpoints: Patterns[Verdict | None] = Patterns()
        if not any(route.mark for route in routes):
            return endpoints
        for route in routes:
            if route.enforced:
                verdict = self._marked(route, problems)
                endpoints.add(route.cut(), route.methods, verdict, exactly=route.pattern())
            elif route.mark is not None:
                problems.append(
                    f"{_shown(route)}: the gate cannot enforce a decorator here. Name the route in {FILE}, "
                    "or use bartizan.require_permission, which checks when the function is called."
                )
        return endpoints

    def _marked(self, route: HostRoute, problems: list[str]) -> Verdict | None:
        """Give what a decorator says of a route, and make its permission known."""
        mark = route.mark
        if mark is None:
            return None
        if mark.permission is None:
            return Verdict(NOTHING, "decorator", PUBLIC)
        need = mark.permission
        for role in mark.roles:
            if role not in BUILT_IN_ROLES:
                hint = near(role, BUILT_IN_ROLES) or "Organizations give it to their own roles."
                problems.append(f"{_shown(route)}: there is no built-in role {role!r}. {hint}")
        if self._rbac is not None:
            try:
                if not self._rbac.knows(need):
                    self._rbac.declare(Permission(need, mark.meaning or need), roles=mark.roles)
                need = self._rbac.parse(need)
            except PermissionNameUnclear as error:
                problems.append(f"{_shown(route)}: {error}")
        return Verdict(need, "decorator", mark.permission)


_WORDS: Mapping[str, str] = {PUBLIC: NOTHING, DENY: NOBODY}


def policy_file(settings: GuardSettings) -> PolicyFile | None:
    """Read the policy file that the settings name, else that of this folder, if there is one."""
    path = settings.policy_file
    if path is None:
        path = Path(FILE)
        if not path.exists():
            return None
    return PolicyFile.read(path)


def _filed(learned: _Learned, method: str, path: str, *, plain: bool) -> Verdict | None:
    """Ask the file. What opens needs the exact path, what closes holds for every reading of it."""
    if plain:
        if (said := learned.rules.find(method, path)) is not None:
            return said
        said = learned.rules.find(method, path[:-1] if path.endswith("/") else f"{path}/")
        if said is not None and not _opens(said, method):
            return said
    verb, reading = method.upper(), tidied(path)
    readings = {path.casefold(), reading, f"{reading}/"}
    found = [
        learned.rules.find(verb, path),
        *(learned.readings.find(verb, read) for read in sorted(readings)),
    ]
    for said in found:
        if said is not None and not _opens(said, verb):
            return Verdict(NOBODY, "file", said.entry)
    return None


def _opens(verdict: Verdict, method: str) -> bool:
    """Tell whether a rule asks for less than the default would."""
    return verdict.need == NOTHING or (verdict.need == READ and method not in SAFE)


def _specificity(rule: tuple[Line, str]) -> tuple[list[int], bool, int, str]:
    """Order rules: literals before parameters before the rest, from the left; then the fewest methods."""
    line, _ = rule
    kinds = {"{}": 1, "*": 2}
    order = [kinds.get(part, 0) for part in segments(line.pattern)]
    return order, line.methods is None, len(line.methods or ()), line.text


def _with_head(methods: frozenset[str] | None) -> frozenset[str] | None:
    """A route that answers GET answers HEAD."""
    return methods | {"HEAD"} if methods and "GET" in methods else methods


def _shown(route: HostRoute) -> str:
    return f"{','.join(sorted(route.methods)) if route.methods else '*'} {route.template}"


def _pattern(text: str) -> str:
    if not text.startswith("/") or "*" in text[:-1]:
        message = f"{text!r} is not a path: it must begin with a slash, and may end in *"
        raise ValueError(message)
    return text


def _route(text: str) -> tuple[str, str]:
    method, _, path = text.partition(" ")
    if not method.isalpha() or not method.isupper():
        message = f"{text!r} is not a route: write it as 'POST /path'"
        raise ValueError(message)
    return method, _pattern(path.strip())


def _matches(pattern: str, path: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern
