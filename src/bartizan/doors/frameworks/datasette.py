"""Datasette by its own command, as a plugin (its hook ``asgi_wrapper``).

It stands aside until Datasette's configuration names it, so that installing Bartizan beside Datasette
changes nothing: ``{"plugins": {"bartizan": {}}}``.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from starlette.types import ASGIApp

from bartizan.foundation.context import current

from .asgi import Wrapped, wrap
from .closing import or_nothing

# Only ever imported by Datasette itself, which finds this module by its entry point.
hookimpl: Any = import_module("datasette").hookimpl
_NAME = "bartizan"
_KEPT = "_bartizan_house"


# The last wrapper is the outermost, so what other plugins wrap stands behind the gate.
@hookimpl(trylast=True)  # type: ignore[untyped-decorator]
def asgi_wrapper(datasette: Any) -> Callable[[ASGIApp], ASGIApp]:
    """Put the gate in front of everything; one house, however often Datasette makes its application."""

    def around(app: ASGIApp) -> ASGIApp:
        if datasette.plugin_config(_NAME) is None:
            return app
        with or_nothing("Datasette"):
            known = getattr(datasette, _KEPT, None)
            if known is not None:
                return Wrapped(app, known)
            gate = wrap(app)
            setattr(datasette, _KEPT, gate.bz)
            return gate

    return around


@hookimpl  # type: ignore[untyped-decorator]
def actor_from_request(datasette: Any) -> dict[str, Any] | None:
    """Tell Datasette's own permissions who is asking: the actor has `id`, `roles`, `org` and `email`."""
    caller = current.anyone if datasette.plugin_config(_NAME) is not None else None
    if caller is None:
        return None
    return {"id": caller.id, "org": caller.org_id, "roles": sorted(caller.roles), "email": caller.email}
