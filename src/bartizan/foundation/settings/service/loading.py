"""Reads settings from every source, the strongest first: code, environment, ``.env``, ``bartizan.toml``."""

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bartizan.foundation.settings.errors import InvalidSettings
from bartizan.foundation.settings.types import BaseSettings, Loaded, Problem

from .fields import Leaf, leaves, shown, variable_of
from .sources import Given, Names, Variable, parse, read_env_file, read_toml, read_tree, read_variables

S = TypeVar("S", bound=BaseSettings)


def load(
    cls: type[S],
    *,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Loaded[S]:
    """Load ``cls`` from ``overrides``, the environment, and ``.env`` and ``bartizan.toml`` in ``directory``.

    Raises :class:`InvalidSettings`, which lists every problem with its cure. An unknown name that begins
    with our prefix is one of them: a misspelt setting must not be ignored.
    """
    folder = directory or Path.cwd()
    names = Names(list(leaves(cls, cls.prefix)), cls.prefix)
    problems: list[Problem] = []

    def closest(name: str) -> str:
        near = difflib.get_close_matches(name.upper(), names.by_variable, n=1, cutoff=0.6)
        return f"Did you mean {near[0]}?" if near else "See `bartizan settings show` for all names."

    environment = [
        Variable(k, v, "environment") for k, v in sorted((os.environ if environ is None else environ).items())
    ]
    written = _last_of_each(read_env_file(folder / ".env", problems, cls.prefix))
    found = {
        **read_tree(read_toml(folder / "bartizan.toml", problems), names, "bartizan.toml", problems, closest),
        **read_variables(written, names, problems, closest),
        **read_variables(environment, names, problems, closest),
        **read_tree(overrides or {}, names, "code", problems, closest),
    }
    values: dict[tuple[str, ...], Any] = {
        path: parse(given, names.by_path[path], problems) for path, given in found.items()
    }
    settings = None if problems else _build(cls, values, found, names, problems)
    if settings is None or problems:
        raise InvalidSettings([asdict(problem) for problem in problems])
    return Loaded(settings, {names.by_path[path].dotted: given.source for path, given in found.items()})


def _last_of_each(lines: Sequence[Variable]) -> list[Variable]:
    """Let a later line of a file win over an earlier one of the same name, as a shell would."""
    return list({line.name: line for line in lines}.values())


def _build(
    cls: type[S],
    values: Mapping[tuple[str, ...], Any],
    found: Mapping[tuple[str, ...], Given],
    names: Names,
    problems: list[Problem],
) -> S | None:
    tree: dict[str, Any] = {}
    for path, value in values.items():
        branch = tree
        for part in path[:-1]:
            branch = branch.setdefault(part, {})
        branch[path[-1]] = value
    try:
        return cls.model_validate(tree)
    except ValidationError as error:
        problems.extend(_told(one, found, names) for one in error.errors(include_url=False))
        return None


def _told(error: ErrorDetails, found: Mapping[tuple[str, ...], Given], names: Names) -> Problem:
    place = tuple(str(part) for part in error["loc"])
    reason = error["msg"].removeprefix("Value error, ")
    leaf = _leaf_at(place, names)
    if leaf is None:
        return Problem(variable_of(place, names.prefix), _sentence(reason))
    given = found.get(leaf.path)
    name = leaf.variable if given is None else given.name
    if error["type"] == "missing":
        return Problem(leaf.variable, "It has no default and must be set.", leaf.info.description or "")
    value = "" if given is None else f" ({shown(leaf, given.value)}, from {given.source})"
    if leaf.secret and given is not None and given.text and given.value:
        reason = reason.replace(given.value, "***")
    return Problem(name, f"{_sentence(reason).rstrip('.')}{value}.", leaf.info.description or "")


def _leaf_at(place: tuple[str, ...], names: Names) -> Leaf | None:
    """Find the setting an error is about: pydantic's place may go on into a list or a union."""
    for length in range(len(place), 0, -1):
        if leaf := names.by_path.get(place[:length]):
            return leaf
    return None


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
