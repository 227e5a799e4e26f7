"""The guard that a host puts before its own functions and routes."""

import functools
import inspect
from collections.abc import Callable, Generator
from typing import Any, TypeVar, overload

from bartizan.foundation.context import PermissionMissing, current

from .catalogue import normal

F = TypeVar("F", bound=Callable[..., Any])


class _Passed:
    """Nothing to wait for: the answer was given before this was made."""

    def __await__(self) -> Generator[None]:
        yield from ()


class require_permission:  # noqa: N801 - it is used like a function
    """Refuse callers without a permission, with a 403 that names it.

    One object serves as a decorator and as a dependency::

        @app.get("/invoices", dependencies=[Depends(require_permission("invoice:read"))])

        @require_permission("invoice:write")
        async def pay(invoice_id: str) -> None: ...

    Singular, plural and a dot are understood: ``invoices.read`` asks for ``invoice:read``.
    """

    def __init__(self, permission: str) -> None:
        resource, _, verb = permission.strip().lower().replace(":", ".").rpartition(".")
        self.permission = f"{resource}:{verb}"
        self._form = normal(permission)
        # A framework that looks for parameters finds none; one that looks for a coroutine function finds
        # it here and awaits what the call below gives back, so no thread is spent on looking at a set.
        self.__signature__ = inspect.Signature()
        vars(self)["__call__"] = self._waiting

    @overload
    def __call__(self, function: None = None) -> Any: ...

    @overload
    def __call__(self, function: F) -> F: ...

    def __call__(self, function: Callable[..., Any] | None = None) -> Any:
        """Check at once, or wrap ``function`` so that each call is checked."""
        if function is None:
            self.check()
            return _Passed()
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def waiting(*args: Any, **kwargs: Any) -> Any:
                self.check()
                return await function(*args, **kwargs)

            return waiting

        @functools.wraps(function)
        def direct(*args: Any, **kwargs: Any) -> Any:
            self.check()
            return function(*args, **kwargs)

        return direct

    def check(self) -> None:
        """Refuse the current caller if it lacks the permission in every spelling."""
        caller = current.caller
        if caller.kind == "system" or self.permission in caller.permissions:
            return
        if not any(normal(held) == self._form for held in caller.permissions):
            message = f"This needs {self.permission}."
            raise PermissionMissing(message, permission=self.permission)

    async def _waiting(self) -> None:
        self.check()
