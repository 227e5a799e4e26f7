"""Rules about single resources: who may do what to which invoice."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from bartizan.foundation.context import Caller, PermissionMissing, current

from .catalogue import Catalogue

R = TypeVar("R")


class Statement(Protocol):
    """A query that can be narrowed, such as SQLAlchemy's ``select()``."""

    def where(self, *criteria: Any) -> Any:
        """Narrow by criteria."""
        ...


S = TypeVar("S", bound=Statement)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A predicate over a caller and a resource, and the same as a criterion for a query."""

    holds: Callable[[Caller, Any], bool]
    where: Callable[[Caller], Any] | None = None
    """Gives a criterion such as ``Invoice.owner_id == caller.user_id``; lists need it."""
    unless: str | None = None
    """Holders of this permission are not bound by the rule."""


def owned(column: Any, *, unless: str | None = None) -> Rule:
    """Make the rule that a resource's owner is the caller; ``column`` is a mapped attribute or a name."""
    name: str = getattr(column, "key", column)
    return Rule(
        holds=lambda caller, resource: (
            caller.user_id is not None and getattr(resource, name, None) == caller.user_id
        ),
        where=None if isinstance(column, str) else lambda caller: column == (caller.user_id or ""),
        unless=unless,
    )


def attribute(column: Any, value: Callable[[Caller], Any], *, unless: str | None = None) -> Rule:
    """Make the rule that an attribute of the resource equals what ``value`` gives for the caller."""
    name: str = getattr(column, "key", column)
    return Rule(
        holds=lambda caller, resource: getattr(resource, name, None) == value(caller),
        where=None if isinstance(column, str) else lambda caller: column == value(caller),
        unless=unless,
    )


class Rules:
    """Rules that the host registered, by permission. All rules of a permission must hold."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._rules: dict[str, list[Rule]] = {}

    def add(self, permission: str, rule: Rule | Callable[[Caller, Any], bool]) -> None:
        """Bind a permission to a rule, or to a plain predicate over caller and resource."""
        if not isinstance(rule, Rule):
            rule = Rule(holds=rule)
        self._rules.setdefault(self._catalogue.parse(permission), []).append(rule)

    def allow(self, permission: str, resource: object) -> bool:
        """Tell whether the caller holds the permission and every rule lets it touch the resource."""
        name = self._catalogue.parse(permission)
        if not current.allows(name):
            return False
        return all(rule.holds(current.caller, resource) for rule in self._binding(name))

    def require(self, permission: str, resource: object) -> None:
        """Refuse a caller who may not do this to this resource."""
        name = self._catalogue.parse(permission)
        current.require(name)
        if not self.allow(name, resource):
            message = f"This needs {name} for this resource."
            raise PermissionMissing(message, permission=name)

    def visible(self, permission: str, resources: Iterable[R]) -> list[R]:
        """Keep the resources that the caller may touch."""
        return [resource for resource in resources if self.allow(permission, resource)]

    def narrow(self, permission: str, statement: S) -> S:
        """Narrow a query to the rows that the caller may touch; refuses a caller without the permission."""
        name = self._catalogue.parse(permission)
        current.require(name)
        for rule in self._binding(name):
            if rule.where is None:
                message = f"A rule of {name} says nothing about queries: give it `where`."
                raise TypeError(message)
            statement = statement.where(rule.where(current.caller))
        return statement

    def _binding(self, name: str) -> list[Rule]:
        caller = current.caller
        if caller.kind == "system":
            return []
        return [
            rule
            for rule in self._rules.get(name, ())
            if rule.unless is None or not current.allows(self._catalogue.parse(rule.unless))
        ]
