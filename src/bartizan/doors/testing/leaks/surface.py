"""What an application offers to walk through: operations of its OpenAPI document, and its bare routes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal, cast

from starlette.staticfiles import StaticFiles

from bartizan.doors.frameworks import routes_of

PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")
READS = frozenset({"GET", "HEAD", "OPTIONS"})
_VERBS = ("get", "post", "put", "patch", "delete")
_OWN = re.compile(r"/(openapi\.json|docs|docs/oauth2-redirect|redoc)$")
_MEDIA = ("application/json", "multipart/form-data", "application/x-www-form-urlencoded")

Schema = Mapping[str, Any]
Place = Literal["query", "header"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A named value in the query or in a header."""

    name: str
    place: Place
    schema: Schema
    required: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """One verb of one path."""

    method: str
    path: str
    parameters: Sequence[Parameter] = ()
    media: str | None = None
    schema: Schema | None = None
    """Of the body, if there is one."""
    documented: bool = True

    def __str__(self) -> str:
        """Name it as reports do."""
        return f"{self.method} {self.path}"

    @property
    def names(self) -> list[str]:
        """The parameters in the path."""
        return PARAMETER.findall(self.path)

    @property
    def reads(self) -> bool:
        """Whether its verb promises to change nothing."""
        return self.method in READS

    @property
    def collection(self) -> str:
        """The path up to its last parameter: where that thing was made, and is listed."""
        return self.path[: self.path.rindex("/{")] if self.names else self.path

    def parameters_in(self, place: Place) -> list[Parameter]:
        """Give the parameters in one place."""
        return [parameter for parameter in self.parameters if parameter.place == place]


@dataclass(slots=True)
class Surface:
    """Everything that was found."""

    operations: list[Operation] = field(default_factory=list[Operation])
    sockets: list[str] = field(default_factory=list[str])
    mounts: list[str] = field(default_factory=list[str])
    """Other applications inside: their paths are not known."""
    components: Schema = field(default_factory=dict[str, Any])


def discover(
    app: Any, document: Mapping[str, Any] | None = None, *, prefix: str = "", skip: Sequence[str] = ()
) -> tuple[Surface, list[str]]:
    """Find what ``app`` offers; also give the routes that ``skip`` leaves out.

    ``document`` is its OpenAPI document, if the application does not write one; ``prefix`` goes before the
    document's paths.
    """
    found = Surface()
    if document is None and callable(write := getattr(app, "openapi", None)):
        document = cast("Mapping[str, Any]", write())
    if document:
        found.components = document.get("components", {}).get("schemas", {})
        found.operations = _documented(document, prefix)
    _add_bare(found, app)
    left = [str(o) for o in found.operations if any(fnmatchcase(str(o), text) for text in skip)]
    left += [f"WS {path}" for path in found.sockets if any(fnmatchcase(f"WS {path}", t) for t in skip)]
    found.operations = [o for o in found.operations if str(o) not in left]
    found.sockets = [path for path in found.sockets if f"WS {path}" not in left]
    return found, left


def _documented(document: Mapping[str, Any], prefix: str) -> list[Operation]:
    found: list[Operation] = []
    for path, verbs in document.get("paths", {}).items():
        shared = verbs.get("parameters", ())
        for verb in _VERBS:
            if (operation := verbs.get(verb)) is None:
                continue
            content = operation.get("requestBody", {}).get("content", {})
            media = next((kind for kind in _MEDIA if kind in content), next(iter(content), None))
            found.append(
                Operation(
                    method=verb.upper(),
                    path=prefix + path,
                    parameters=[
                        Parameter(p["name"], p["in"], p.get("schema", {}), bool(p.get("required")))
                        for p in (*shared, *operation.get("parameters", ()))
                        if p.get("in") in {"query", "header"}
                    ],
                    media=media,
                    schema=content[media].get("schema", {}) if media else None,
                )
            )
    return found


def _add_bare(found: Surface, app: Any) -> None:
    """Add what stands in no document: plain routes, websockets, mounts."""
    known = {(o.method, _shape(o.path)) for o in found.operations}
    for route in routes_of(app):
        if route.kind == "websocket":
            found.sockets.append(route.path)
        elif route.kind == "mount":
            inner = route.app
            if callable(getattr(inner, "openapi", None)):
                document = inner.openapi()
                found.operations += _documented(document, route.path)
                found.components = {**found.components, **document.get("components", {}).get("schemas", {})}
            elif not isinstance(inner, StaticFiles):
                found.mounts.append(route.path)
        elif not _OWN.search(route.path):
            for method in sorted(route.methods - {"HEAD", "OPTIONS"}):
                if (method, _shape(route.path)) not in known:
                    known.add((method, _shape(route.path)))
                    found.operations.append(Operation(method, route.path, documented=False))


def _shape(path: str) -> str:
    return PARAMETER.sub("{}", path)
