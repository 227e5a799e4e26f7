"""The condition that the ORM adds to every query of walled classes."""

from collections.abc import Callable
from functools import lru_cache
from types import FunctionType
from typing import Any, cast

from sqlalchemy.orm import with_loader_criteria
from sqlalchemy.sql.base import ExecutableOption


def criteria(base: type, attribute: str) -> Callable[[str], ExecutableOption]:
    """Give what makes the option that holds all classes below ``base`` to one owner; the options are kept."""
    # SQLAlchemy keeps a criterion by its code object, so each base needs code of its own.
    code = _template("").__code__.replace(
        co_names=(attribute,), co_name=f"criterion_of_{base.__qualname__}_{id(base)}"
    )

    @lru_cache(maxsize=4096)
    def build(owner: str) -> ExecutableOption:
        template = _template(owner)
        own = FunctionType(code, template.__globals__, code.co_name, None, template.__closure__)
        return with_loader_criteria(base, own, include_aliases=True)

    return build


def _template(owner: str) -> FunctionType:
    def template(cls: Any) -> Any:
        return cls.owner == owner

    return cast("FunctionType", template)
