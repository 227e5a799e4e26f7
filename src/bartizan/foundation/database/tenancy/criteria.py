"""The condition that the ORM adds to every query of walled classes."""

from collections.abc import Callable
from functools import lru_cache
from types import FunctionType
from typing import Any, cast

from sqlalchemy.orm import with_loader_criteria
from sqlalchemy.sql.base import ExecutableOption


def by_column(base: type, attribute: str) -> Callable[[str], ExecutableOption]:
    """Hold all classes below ``base`` to one owner, whom that attribute of each names."""
    return _options(base, attribute, _equal)


def by_method(base: type, method: str) -> Callable[[str], ExecutableOption]:
    """Hold them to one owner, by what that method of each class says when given the owner."""
    return _options(base, method, _asked)


def _options(
    base: type, name: str, template: Callable[[str], FunctionType]
) -> Callable[[str], ExecutableOption]:
    # SQLAlchemy keeps a criterion by its code object, so each base needs code of its own.
    code = template("").__code__.replace(
        co_names=(name,), co_name=f"criterion_of_{base.__qualname__}_{id(base)}"
    )

    @lru_cache(maxsize=4096)
    def build(owner: str) -> ExecutableOption:
        made = template(owner)
        own = FunctionType(code, made.__globals__, code.co_name, None, made.__closure__)
        return with_loader_criteria(base, own, include_aliases=True)

    return build


def _equal(owner: str) -> FunctionType:
    def criterion(cls: Any) -> Any:
        return cls.name == owner

    return cast("FunctionType", criterion)


def _asked(owner: str) -> FunctionType:
    def criterion(cls: Any) -> Any:
        return cls.name(owner)

    return cast("FunctionType", criterion)
