"""Any ASGI application, and Bartizan alone."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from bartizan.doors.console import Console
from bartizan.doors.guard import Guard, Policy
from bartizan.doors.http import Bodies, Health, control_plane, document, response
from bartizan.house import Bartizan, Settings

from .wsgi import Wsgi, WsgiApp, speaks_wsgi

HOME = "bartizan"
_DEPTH = 20
_HEALTH = ("/health", "/metrics", "/.well-known/", "/api/health")
_ASKED = (
    "authorization",
    "content-type",
    "x-api-key",
    "x-csrf-token",
    "x-org-id",
    "x-team-id",
    "x-tenant-id",
)
_API = ("/api/v1/", "/openapi.json", "/docs", "/redoc")


class Platform:
    """Everything of ours below the mount path: one dispatcher on the first segment.

    The API is built when the server starts, or at its first request: a hundred routes take longer to make
    than all the rest of an attached app, and commands and tests of single rooms never need them.
    """

    def __init__(self, house: Bartizan) -> None:
        """Serve the pages, the API and the health of ``house``."""
        self._house = house
        self._health: ASGIApp = Health(house).app
        self._console: ASGIApp = Console(house)

    @cached_property
    def plane(self) -> FastAPI:
        """The control plane itself."""
        return control_plane(self._house)

    @cached_property
    def _api(self) -> ASGIApp:
        api: ASGIApp = Bodies(self.plane)
        if origins := self._house.settings.guard.cors_origins:
            return CORSMiddleware(
                api,
                allow_origins=origins,
                allow_credentials=True,
                allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
                allow_headers=_ASKED,
                expose_headers=["x-request-id", "retry-after"],
            )
        return api

    def warm(self) -> None:
        """Build the API and its document now, so that no request waits for it."""
        self.plane.openapi()
        _ = self._api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; ``root_path`` says where the mount ends."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path.startswith(_HEALTH):
            await self._health(scope, receive, send)
        elif path.startswith(_API):
            await self._api(scope, receive, send)
        elif path.startswith("/api/"):
            missing = document(status=404, code="no-such-path", title="Nothing is served at this path.")
            await response(missing)(scope, receive, send)
        else:
            await self._console(scope, receive, send)


class Wrapped(Guard):
    """An application behind the gate: serve this instead of it. ``app`` is behind it, ``bz`` its house."""

    def __init__(self, app: ASGIApp, house: Bartizan, policy: Policy | None = None) -> None:
        """Stand in front of ``app``; its routes need what ``policy`` says."""
        platform = Platform(house)
        policy = policy or Policy.of(house.settings.guard, house.rbac, app)

        def warm() -> None:
            policy.check()
            platform.warm()

        super().__init__(app, platform, house, policy=policy, warm=warm)
        self.app = app
        self.bz = house


def wrap(app: ASGIApp | WsgiApp, settings: Settings | Mapping[str, Any] | None = None) -> Wrapped:
    """Put sign-in, roles, keys and audit in front of any ASGI or WSGI application.

    Wrapping what is already wrapped gives the same gate again, and what Bartizan was attached to keeps its
    house: there is one gate. Raises ``InvalidSettings`` or ``InvalidPolicy`` where something is wrong or, in
    production, missing, and ``RuntimeError`` where a gate stands further inside: then nothing is served.
    """
    if isinstance(app, Wrapped):
        return app
    if _holds_a_gate(app):
        message = "There is a gate inside already: wrap the outermost application, once."
        raise RuntimeError(message)
    if isinstance(app, Starlette) and (known := detach(app)) is not None:
        return Wrapped(app, known)
    house = Bartizan(settings)
    policy = Policy.of(house.settings.guard, house.rbac, app)
    if isinstance(app, Starlette):
        setattr(app.state, HOME, house)
    inside: Any = app
    if speaks_wsgi(app):
        inside = Wsgi(inside, threads=house.settings.guard.wsgi_threads)
    return Wrapped(inside, house, policy)


def detach(app: Starlette) -> Bartizan | None:
    """Take the gate out of an application that is to be wrapped, and give its house."""
    known = getattr(app.state, HOME, None)
    build = getattr(app.build_middleware_stack, "behind", None)
    if build is not None:
        if app.middleware_stack is not None:
            message = "Wrap the application before it serves its first request."
            raise RuntimeError(message)
        app.build_middleware_stack = build  # type: ignore[method-assign]
    return known if isinstance(known, Bartizan) else None


def _holds_a_gate(app: Any) -> bool:
    for _ in range(_DEPTH):
        app = getattr(app, "app", None)
        if isinstance(app, Wrapped):
            return True
    return False


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        missing = document(status=404, code="no-such-path", title="Nothing is served at this path.")
        await response(missing)(scope, receive, send)


def alone(settings: Settings | Mapping[str, Any] | None = None) -> Wrapped:
    """Serve the control plane and the pages without an application: ``bartizan serve``."""
    return Wrapped(_nothing, Bartizan(settings))
