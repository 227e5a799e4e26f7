"""FastAPI and Starlette: one line, ``bartizan.attach(app)``."""

from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.types import ASGIApp

from bartizan.doors.guard import Policy
from bartizan.house import Bartizan, Settings

from .asgi import HOME, Wrapped


def attach(app: Starlette, settings: Settings | Mapping[str, Any] | None = None) -> Bartizan:
    """Add the enterprise layer to a FastAPI or Starlette application and give its house.

    The gate stands outside of every middleware, whichever is added first. Attaching twice gives the same
    house. An application that has already served a request cannot be attached to any more: ``RuntimeError``.
    """
    known = getattr(app.state, HOME, None)
    if isinstance(known, Bartizan):
        return known
    if app.middleware_stack is not None:
        message = "Call bartizan.attach(app) before the application serves its first request."
        raise RuntimeError(message)
    house = Bartizan(settings)
    policy = Policy.of(house.settings.guard, house.rbac, app)
    build = app.build_middleware_stack

    def behind_the_gate() -> ASGIApp:
        return Wrapped(build(), house, policy)

    behind_the_gate.behind = build  # type: ignore[attr-defined]
    app.build_middleware_stack = behind_the_gate  # type: ignore[method-assign]
    setattr(app.state, HOME, house)
    return house
