"""Where values are read from: code, the environment, ``.env``, ``bartizan.toml`` and secret files."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from bartizan.foundation.settings.types import Problem, Section

from .fields import Leaf

_LARGEST_FILE = 65_536
_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*\Z", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
# Kubernetes describes every service to every pod: a service called "bartizan" yields BARTIZAN_PORT and more.
_KUBERNETES = re.compile(
    r"[A-Z0-9]+(?:_[A-Z0-9]+)*_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9]+)*"
    r"|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)
_KUBERNETES_PORT = re.compile(r"(?:tcp|udp|sctp)://.+")


@dataclass(frozen=True, slots=True)
class Given:
    """One value found somewhere; ``text`` tells whether it was written as one."""

    value: Any
    source: str
    name: str
    text: bool = False


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable, or a line of ``.env``."""

    name: str
    value: str
    source: str


class Names:
    """Every name a setting goes by."""

    def __init__(self, leaves: Sequence[Leaf], prefix: str) -> None:
        self.prefix = prefix
        self.by_variable = {name.upper(): leaf for leaf in leaves for name in (leaf.variable, *leaf.also)}
        self.by_path = {leaf.path: leaf for leaf in leaves}

    def find(self, name: str) -> tuple[Leaf | None, bool]:
        """Give the setting that a variable sets, and whether the variable names a file with the value."""
        upper = name.upper()
        if leaf := self.by_variable.get(upper):
            return leaf, False
        if upper.endswith("_FILE"):
            return self.by_variable.get(upper.removesuffix("_FILE")), True
        return None, False

    def foreign(self, variable: Variable) -> bool:
        """Tell whether an unknown variable is nobody's mistake."""
        upper = variable.name.upper()
        return (
            not upper.startswith(self.prefix)
            or upper.startswith(f"{self.prefix}TEST_")
            or ("__" not in upper and _KUBERNETES.fullmatch(upper) is not None)
            or (upper.endswith("_PORT") and _KUBERNETES_PORT.fullmatch(variable.value) is not None)
        )


def read_variables(
    variables: Sequence[Variable], names: Names, problems: list[Problem], closest: Any
) -> dict[tuple[str, ...], Given]:
    """Read the settings among some variables; an unknown name of ours is a problem."""
    found: dict[tuple[str, ...], Given] = {}
    for variable in variables:
        leaf, is_file = names.find(variable.name)
        if leaf is None:
            if not names.foreign(variable):
                problems.append(Problem(variable.name, "There is no such setting.", closest(variable.name)))
            continue
        if (other := found.get(leaf.path)) and other.name != variable.name:
            problems.append(
                Problem(
                    variable.name, f"{other.name} sets the same in {variable.source}.", "Keep one of them."
                )
            )
            continue
        value, source = variable.value, variable.source
        if is_file:
            source = f"file {value}"
            text = _secret_file(variable, problems)
            if text is None:
                continue
            value = text
        found[leaf.path] = Given(value, source, variable.name, text=True)
    return found


def _secret_file(variable: Variable, problems: list[Problem]) -> str | None:
    path = Path(variable.value)
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        if len(content) > _LARGEST_FILE:
            problems.append(Problem(variable.name, f"{path} is larger than {_LARGEST_FILE} bytes."))
            return None
        return content.decode().rstrip("\r\n")
    except (OSError, ValueError) as error:
        why = (error.strerror or type(error).__name__) if isinstance(error, OSError) else "not UTF-8 text"
        problems.append(Problem(variable.name, f"Cannot read {path}: {why}.", "Name a readable file."))
        return None


def parse(given: Given, leaf: Leaf, problems: list[Problem]) -> Any:
    """Turn a text into what pydantic reads: lists by JSON or commas, mappings by JSON."""
    if not given.text:
        return given.value
    text: str = given.value
    if text == "" and leaf.optional:
        return None
    if (leaf.many and text.lstrip().startswith("[")) or (leaf.mapping and text.lstrip().startswith("{")):
        try:
            return json.loads(text)
        except ValueError:
            problems.append(Problem(given.name, "This is not JSON.", "Check brackets and double quotes."))
            return None
    if leaf.many and not leaf.mapping:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def read_tree(
    tree: Mapping[str, Any], names: Names, source: str, problems: list[Problem], closest: Any
) -> dict[tuple[str, ...], Given]:
    """Read the settings in nested mappings: code's or TOML's."""
    found: dict[tuple[str, ...], Given] = {}
    for path, value in _flatten(tree, names):
        dotted = ".".join(path)
        if path in names.by_path:
            found[path] = Given(value, source, dotted)
        else:
            variable = names.prefix + "__".join(path).upper()
            problems.append(Problem(f"{dotted} ({source})", "There is no such setting.", closest(variable)))
    return found


def _flatten(
    tree: Mapping[str, Any], names: Names, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in tree.items():
        here = (*path, *key.replace("__", ".").split("."))
        inner: Any = value
        if isinstance(value, Section):
            inner = {name: getattr(value, name) for name in value.model_fields_set}
        is_section = any(known[: len(here)] == here and len(known) > len(here) for known in names.by_path)
        if isinstance(inner, Mapping) and here not in names.by_path and (is_section or inner):
            yield from _flatten(cast("Mapping[str, Any]", inner), names, here)
        elif not (is_section and inner is None):
            yield here, value


def read_env_file(path: Path, problems: list[Problem], prefix: str) -> list[Variable]:
    """Read the lines of a ``.env`` file; there need not be one. Lines of others may look as they like."""
    found: list[Variable] = []
    try:
        text = path.read_text()
    except FileNotFoundError:
        return found
    except (OSError, ValueError) as error:
        problems.append(Problem(str(path), f"It cannot be read: {type(error).__name__}."))
        return found
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.match(line)
        value = _unquote(match[2]) if match else None
        if match and value is not None:
            found.append(Variable(match[1], value, f"{path.name} line {number}"))
        elif prefix in line.upper():
            problems.append(Problem(f"{path.name} line {number}", "Not NAME=value.", "Check its quotes."))
    return found


def _unquote(text: str) -> str | None:
    """Read a value as a shell would; none when a quote is left open."""
    if text[:1] == "'":
        match = re.fullmatch(r"'([^']*)'\s*(?:#.*)?", text)
        return match[1] if match else None
    if text[:1] == '"':
        match = re.fullmatch(r'"((?:[^"\\]|\\.)*)"\s*(?:#.*)?', text)
        return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), match[1]) if match else None
    return re.split(r"(?:^|\s)#", text, maxsplit=1)[0].strip()


def read_toml(path: Path, problems: list[Problem]) -> dict[str, Any]:
    """Read ``bartizan.toml``; there need not be one."""
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        problems.append(Problem(path.name, f"It is not TOML: {error}."))
    except (OSError, ValueError) as error:
        problems.append(Problem(path.name, f"It cannot be read: {type(error).__name__}."))
    return {}
