"""The routes of a host application, in the order in which it tries them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from fastapi import routing as fastapi_routing
from starlette.convertors import CONVERTOR_TYPES
from starlette.endpoints import HTTPEndpoint
from starlette.routing import Host, Mount, Route, WebSocketRoute

from .marks import Mark, mark_of
from .paths import PARAMETER, REST

SOCKET = "WEBSOCKET"
_VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_FIELD = re.compile(r"\{(?P<name>[^}:]*)(?::(?P<kind>[^}]*))?\}")
_ONE_SEGMENT = frozenset({"", "str", "int", "float", "uuid"})
_FLASK = re.compile(r"<(?:(?P<kind>[^<>:]+):)?(?P<name>[^<>:]+)>")
_WRAPPERS = 20


@dataclass(frozen=True, slots=True)
class HostRoute:
    """One route: its methods (none: all), the template of its path, and what its author said."""

    methods: frozenset[str] | None
    template: str
    mark: Mark | None = None
    blind: bool = False
    """Whether something is behind it that we cannot look into: a mounted application, files."""
    enforced: bool = True
    """Whether the path alone tells that this route will answer, so that the gate can act on the mark."""

    def cut(self) -> list[str]:
        """Cut the template into segments for a look-up; the pattern has the last word."""
        parts: list[str] = []
        for part in self.template.split("/")[1:]:
            kinds = [match["kind"] or "" for match in _FIELD.finditer(part)]
            if any(kind not in _ONE_SEGMENT for kind in kinds):
                return [*parts, REST]
            parts.append(PARAMETER if kinds else part)
        return parts

    def pattern(self) -> re.Pattern[str]:
        """Write the template as Starlette reads it: `$` lets a line break pass at the end of a path."""
        written, end = "", 0
        for match in _FIELD.finditer(self.template):
            convertor = CONVERTOR_TYPES[match["kind"] or "str"]
            written += re.escape(self.template[end : match.start()]) + f"(?:{convertor.regex})"
            end = match.end()
        return re.compile(f"^{written}{re.escape(self.template[end:])}$")


def survey(host: object) -> list[HostRoute]:
    """List the routes of a host: FastAPI and Starlette with all that is included or mounted; Flask, Litestar.

    An application of another kind has none that we can see.
    """
    for layer in _layers(host):
        rules = getattr(getattr(layer, "url_map", None), "iter_rules", None)
        if rules is not None:
            return list(_flask(layer, rules()))
        if (routes := _routes(layer)) is not None:
            return list(_walk(routes, ""))
    return []


def _layers(app: Any) -> Iterator[Any]:
    """Look into an application that others may be wrapped around, from the outside."""
    for _ in range(_WRAPPERS):
        yield app
        app = getattr(app, "app", None) or getattr(app, "wsgi", None)
        if app is None:
            return


def _routes(app: Any) -> Iterable[Any] | None:
    routes: Any = getattr(app, "routes", None)
    return tuple(cast("Iterable[Any]", routes)) if isinstance(routes, list | tuple) else None


def _inside(app: Any) -> Iterable[Any]:
    """Give the routes of what is mounted, as far as it has any."""
    return next((routes for layer in _layers(app) if (routes := _routes(layer)) is not None), ())


def _walk(routes: Iterable[Any], prefix: str) -> Iterator[HostRoute]:
    # FastAPI 0.137 and later include routers lazily: only this tells what they come to.
    contexts: Any = getattr(fastapi_routing, "iter_route_contexts", None)
    for route in contexts(routes) if contexts else routes:
        original = getattr(route, "original_route", route)
        path = prefix + str(getattr(route, "path", None) or "")
        if isinstance(original, Mount):
            yield from _walk(original.routes or _inside(original.app), path)
            yield HostRoute(None, path + "/{path:path}", blind=True)
        elif isinstance(original, Host):
            # Which of these answers depends on a header, so the path alone cannot tell.
            for inner in _walk(original.routes or _inside(original.app), prefix):
                yield HostRoute(inner.methods, inner.template, inner.mark, inner.blind, enforced=False)
        elif isinstance(original, WebSocketRoute):
            yield HostRoute(frozenset({SOCKET}), path, mark_of(original.endpoint))
        elif isinstance(original, Route):
            yield from _endpoint(original.endpoint, getattr(route, "methods", None), path)
        else:
            yield from _foreign(route, path)


def _endpoint(endpoint: Any, methods: Iterable[str] | None, path: str) -> Iterator[HostRoute]:
    every = mark_of(cast("object", endpoint))
    if isinstance(endpoint, type) and issubclass(endpoint, HTTPEndpoint):
        for verb in _VERBS:
            if (method := getattr(endpoint, verb.lower(), None)) is not None:
                also = {"HEAD"} if verb == "GET" and not hasattr(endpoint, "head") else set[str]()
                yield HostRoute(frozenset({verb, *also}), path, mark_of(method) or every)
        yield HostRoute(None, path, every)
        return
    yield HostRoute(frozenset(methods) if methods else None, path, every)


def _foreign(route: Any, path: str) -> Iterator[HostRoute]:
    """Give the routes of other frameworks, such as Litestar's, as far as they say what they are."""
    template = getattr(route, "path_format", None) or path
    handlers = getattr(route, "route_handlers", None) or [getattr(route, "route_handler", None)]
    marks = [mark_of(getattr(handler, "fn", None)) for handler in handlers]
    methods = getattr(route, "methods", None) or {SOCKET}
    if isinstance(template, str) and template.startswith("/"):
        said = next((mark for mark in marks if mark), None)
        yield HostRoute(frozenset(str(method) for method in methods), template, said, enforced=False)


def _flask(host: Any, rules: Iterable[Any]) -> Iterator[HostRoute]:
    for rule in rules:
        view = host.view_functions.get(rule.endpoint)
        template = _FLASK.sub(
            lambda m: f"{{{m['name']}{':path' if m['kind'] == 'path' else ''}}}", str(rule.rule)
        )
        yield HostRoute(frozenset(rule.methods or ()), template, mark_of(view), enforced=False)
