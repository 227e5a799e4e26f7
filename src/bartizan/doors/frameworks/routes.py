"""What an application serves, as far as it is built of Starlette's routes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import APIRouter
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

Kind = Literal["http", "websocket", "mount"]


@dataclass(frozen=True, slots=True)
class Served:
    """One path."""

    path: str
    """With its parameters, as ``/notes/{note_id}``."""
    kind: Kind
    methods: frozenset[str] = frozenset()
    app: Any = None
    """What is mounted there, if something is."""


def host_of(app: Any) -> Any:
    """Give the application behind the gate, if the gate is what was named."""
    return getattr(app, "_app", app) if hasattr(app, "bz") else app


def routes_of(app: Any) -> Sequence[Served]:
    """List what an application serves; what another framework serves in a mount is one line."""
    return list(_walk(getattr(app, "routes", ()), ""))


def _walk(routes: Sequence[BaseRoute], above: str) -> Iterator[Served]:
    for route in routes:
        inner = getattr(route, "original_router", None)  # newer FastAPI keeps included routers apart
        if isinstance(inner, APIRouter):
            context = getattr(route, "include_context", None)
            yield from _walk(inner.routes, above + str(getattr(context, "prefix", "") or ""))
        elif isinstance(route, Mount):
            if route.routes:
                yield from _walk(route.routes, above + route.path)
            else:
                yield Served(above + route.path, "mount", app=route.app)
        elif isinstance(route, WebSocketRoute):
            yield Served(above + route.path, "websocket")
        elif isinstance(route, Route):
            yield Served(above + route.path, "http", frozenset(route.methods or ()))
