"""Refuses to start in production with anything that is not safe there."""

import logging
from dataclasses import asdict
from typing import Any

from bartizan.foundation.settings.errors import MissingService, UnsafeInProduction
from bartizan.foundation.settings.types import BaseSettings, ModuleSection, Problem, Section

from .fields import Leaf, leaves, sections, variable_of

_log = logging.getLogger("bartizan.settings")


def check_production(settings: BaseSettings) -> None:
    """Refuse everything unsafe at once, each by its environment name and cure.

    Outside of production nothing is refused. A room that is switched off is not asked.
    """
    if settings.production and (problems := unsafe_in_production(settings)):
        raise UnsafeInProduction([asdict(problem) for problem in problems])


def unsafe_in_production(settings: BaseSettings) -> list[Problem]:
    """List what production would refuse, whatever the environment is now."""
    problems: list[Problem] = []
    off: list[tuple[str, ...]] = []
    marks = {leaf.path: leaf for leaf in leaves(type(settings), settings.prefix)}
    for path, section in sections(settings):
        if isinstance(section, ModuleSection) and not section.enabled:
            off.append(path)
        if any(path[: len(inner)] == inner for inner in off):
            continue
        for name in type(section).model_fields:
            if leaf := marks.get((*path, name)):
                problems.extend(_marked(section, name, leaf))
        problems.extend(
            Problem(variable_of((*path, problem.name), settings.prefix), problem.reason, problem.cure)
            for problem in section.unsafe()
        )
    return problems


def fall_back(settings: BaseSettings, service: str, instead: str, reason: str) -> None:
    """Do without an absent service: with a warning in development, never in production.

    Raises :class:`MissingService` in production.
    """
    if settings.production:
        message = f"{service} does not answer ({reason}), and production does not do without it."
        raise MissingService(message, service=service)
    _log.warning("%s does not answer (%s): going on with %s.", service, reason, instead)


def _marked(section: Section, name: str, leaf: Leaf) -> list[Problem]:
    value: Any = getattr(section, name)
    cure = str(leaf.rule("cure", ""))
    if leaf.rule("production_required", default=False) and (
        name not in section.model_fields_set or value in (None, "", (), [])
    ):
        return [Problem(leaf.variable, "Production needs it, and it is not set.", cure)]
    for refused in leaf.rule("production_refuses", ()):
        if type(value) is type(refused) and value == refused:
            text = str(refused).lower() if isinstance(refused, bool) else repr(refused)
            return [Problem(leaf.variable, f"Production does not accept {text}.", cure)]
    return []
