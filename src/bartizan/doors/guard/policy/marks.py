"""What the author of an endpoint says about it: ``@bartizan.requires`` and ``@bartizan.public``."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T", bound=Callable[..., Any])

_NAME = "__bartizan_need__"


@dataclass(frozen=True, slots=True)
class Mark:
    """What one endpoint needs: a permission, or nothing."""

    permission: str | None
    meaning: str = ""
    roles: tuple[str, ...] = ()


def requires(permission: str, meaning: str = "", *, roles: Sequence[str] = ()) -> Callable[[T], T]:
    """Say which permission a FastAPI or Starlette endpoint needs, instead of app:read or app:write.

    ::

        @app.post("/invoices/{number}/void")
        @bartizan.requires("invoice:void", "Void an invoice", roles=["operator"])
        async def void(number: int) -> None: ...

    The gate asks for it; the function itself stays as it is, so without the gate nothing changes. The
    permission is declared unless it is known: owners and admins hold it, and the built-in ``roles`` named
    here. It may stand above or below the decorator that makes the route. Websocket endpoints and classes
    (``HTTPEndpoint``) take it too.
    """
    if isinstance(roles, str):
        message = f"roles is a list: write roles=[{roles!r}]"
        raise TypeError(message)
    return functools.partial(_mark, mark=Mark(permission, meaning, tuple(roles)))


def public(endpoint: T) -> T:
    """Let everybody use a FastAPI or Starlette endpoint, signed in or not.

    ::

    @app.get("/prices")
    @bartizan.public
    async def prices() -> list[Price]: ...
    """
    return _mark(endpoint, mark=Mark(None))


def mark_of(endpoint: object) -> Mark | None:
    """Give what was said about an endpoint itself; a class says nothing for those derived from it."""
    while endpoint is not None:
        found = vars(endpoint).get(_NAME) if hasattr(endpoint, "__dict__") else None
        if isinstance(found, Mark):
            return found
        # A bound method or a partial stands for what is inside of it.
        endpoint = getattr(endpoint, "__func__", None) or getattr(endpoint, "func", None)
    return None


def _mark(endpoint: T, *, mark: Mark) -> T:
    known = mark_of(endpoint)
    if known is not None and known != mark:
        name = getattr(endpoint, "__name__", repr(endpoint))
        message = f"{name} has two needs, {_said(known)} and {_said(mark)}: a route has one."
        raise ValueError(message)
    setattr(endpoint, _NAME, mark)
    return endpoint


def _said(mark: Mark) -> str:
    return mark.permission or "public"
