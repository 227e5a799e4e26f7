"""The leaves of a tree of sections: each one setting, with its name in every notation."""

import re
import types
from collections.abc import Collection, Iterable, Iterator, Mapping, MutableMapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Annotated, Any, Union, cast, get_args, get_origin

from pydantic import SecretBytes, SecretStr
from pydantic.fields import FieldInfo

from bartizan.foundation.settings.types import Section


@dataclass(frozen=True, slots=True)
class Leaf:
    """One setting."""

    path: tuple[str, ...]
    variable: str
    info: FieldInfo

    @property
    def dotted(self) -> str:
        """Its name as written in code: ``webhooks.timeout``."""
        return ".".join(self.path)

    @property
    def also(self) -> list[str]:
        """Other environment variables that set it."""
        return list(self.rule("also", ()))

    @property
    def secret(self) -> bool:
        """Whether its value must never be shown."""
        return bool(self.rule("secret", default=False)) or any(
            isinstance(part, type) and issubclass(part, SecretStr | SecretBytes)
            for part in _parts(self.info.annotation)
        )

    @property
    def optional(self) -> bool:
        """Whether it may be none."""
        return type(None) in _alternatives(self.info.annotation)

    @property
    def many(self) -> bool:
        """Whether it holds a list, which may be written with commas."""
        return any((get_origin(k) or k) in _LISTS for k in _alternatives(self.info.annotation))

    @property
    def mapping(self) -> bool:
        """Whether it holds names and values, which are written as JSON."""
        return any(
            (get_origin(k) or k) in _MAPPINGS or (isinstance(k, type) and issubclass(k, Section))
            for k in _alternatives(self.info.annotation)
        )

    def rule(self, name: str, default: Any) -> Any:
        """Read what :func:`rules` said about it."""
        extra = self.info.json_schema_extra
        said = cast("dict[str, Any]", extra) if isinstance(extra, dict) else {}
        return said.get(name, default)


_LISTS: frozenset[Any] = frozenset({list, tuple, set, frozenset, Collection, Iterable, Sequence, AbstractSet})
_MAPPINGS: frozenset[Any] = frozenset({dict, Mapping, MutableMapping})


def leaves(root: type[Section], prefix: str, path: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """Walk every setting below ``root``, in the order of declaration."""
    for name, info in root.model_fields.items():
        here = (*path, name)
        if inner := section_of(info.annotation):
            yield from leaves(inner, prefix, here)
        else:
            yield Leaf(here, variable_of(here, prefix), info)


def sections(value: Section, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Section]]:
    """Walk every section of a settings object, the root first."""
    yield path, value
    for name in type(value).model_fields:
        inner = getattr(value, name)
        if isinstance(inner, Section):
            yield from sections(inner, (*path, name))


def variable_of(path: tuple[str, ...], prefix: str) -> str:
    """Give the environment variable of a setting: ``BARTIZAN_WEBHOOKS__TIMEOUT``."""
    return prefix + "__".join(path).upper()


def section_of(annotation: Any) -> type[Section] | None:
    """Give the section that a field holds, also when it may be none."""
    found = [k for k in _alternatives(annotation) if isinstance(k, type) and issubclass(k, Section)]
    return found[0] if len(found) == 1 else None


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in {Union, types.UnionType}:
        return tuple(kind for part in get_args(annotation) for kind in _alternatives(part))
    return (annotation,)


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)


def shown(leaf: Leaf, value: Any) -> str:
    """Write a value for people: secrets and the passwords inside addresses are masked."""
    if value is None:
        return ""
    if leaf.secret:
        return _MASK if value not in ("", (), []) else ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple | set | frozenset):
        items = [shown(leaf, item) for item in cast("Iterable[Any]", value)]
        return ",".join(sorted(items) if isinstance(value, set | frozenset) else items)
    return _PASSWORD_PARAMETER.sub(rf"\1{_MASK}", _PASSWORD.sub(rf"\1{_MASK}@", str(value)))[:_LONGEST]


_MASK = "***"
_LONGEST = 300
# redis://:password@host has no user; the last @ ends the password, whatever characters are in it.
_PASSWORD = re.compile(r"(\w://[^:/?#@\s]*:)[^/\s]*@")
_PASSWORD_PARAMETER = re.compile(r"(?i)([?&](?:password|passwd|secret|token|key)=)[^&#\s]*")
