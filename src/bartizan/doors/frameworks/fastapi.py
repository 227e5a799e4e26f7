"""FastAPI and Starlette: one line, ``bartizan.attach(app)``."""

from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.types import ASGIApp

from bartizan.house import Bartizan, Settings

from .asgi import Wrapped

_HOME = "bartizan"


def attach(app: Starlette, settings: Settings | Mapping[str, Any] | None = None) -> Bartizan:
    """Add the enterprise layer to a FastAPI or Starlette application and give its house.

    The gate stands outside of every middleware, whichever is added first. Attaching twice gives the same
    house. An application that has already served a request cannot be attached to any more: ``RuntimeError``.
    """
    known = getattr(app.state, _HOME, None)
    if isinstance(known, Bartizan):
        return known
    if app.middleware_stack is not None:
        message = "Call bartizan.attach(app) before the application serves its first request."
        raise RuntimeError(message)
    house = Bartizan(settings)
    build = app.build_middleware_stack

    def behind_the_gate() -> ASGIApp:
        return Wrapped(build(), house)

    app.build_middleware_stack = behind_the_gate  # type: ignore[method-assign]
    setattr(app.state, _HOME, house)
    return house
