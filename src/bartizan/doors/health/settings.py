"""The settings, read without a single room: every section is loaded from its file alone."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from pydantic import create_model

from bartizan.foundation.capability import Check, Verdict
from bartizan.foundation.errors import BartizanError
from bartizan.foundation.settings import (
    HouseSettings,
    InvalidSettings,
    Loaded,
    Section,
    load,
    unsafe_in_production,
)

from .case import Case

_HOUSE = Path(__file__).parents[2]
_NAMES = {"database": "database_options"}
"""Rooms whose section is not called as their folder, because the root has a field of that name."""


def sections() -> Iterator[tuple[str, type[Section]]]:
    """Find the section of each room by its file; none of the rooms is imported."""
    for file in sorted(_HOUSE.glob("*/*/settings.py")):
        room = file.parent.name
        if file.parent.parent.name == "doors":
            continue
        spec = spec_from_file_location(f"bartizan_settings_of_{room}", file)
        assert spec
        assert spec.loader
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        own = [
            thing
            for thing in vars(module).values()
            if isinstance(thing, type) and issubclass(thing, Section) and thing.__module__ == spec.name
        ]
        wanted = f"{room.replace('_', '')}settings"
        section = next((one for one in own if one.__name__.lower() == wanted), None)
        if section is not None:
            yield _NAMES.get(room, room), section


def settings_alone() -> type[HouseSettings]:
    """Build the class of all settings: the same fields as the house's own."""
    fields: dict[str, Any] = {name: (section, section()) for name, section in sections()}
    return create_model("Settings", __base__=HouseSettings, **fields)


def read(folder: Path, environ: Mapping[str, str] | None = None) -> Loaded[HouseSettings]:
    """Read the settings of a folder and environment; raises ``InvalidSettings``."""
    return load(settings_alone(), directory=folder, environ=environ)


def _valid(case: Case) -> Sequence[Verdict] | Verdict:
    try:
        loaded = read(case.folder, case.environ)
    except InvalidSettings as error:
        return [
            Verdict.problem(f"{p['name']}: {p['reason']}", p.get("cure", "")) for p in error.facts["problems"]
        ]
    except BartizanError as error:
        return Verdict.problem(str(error))
    case.settings, case.sources = loaded.settings, loaded.sources
    count = len(loaded.sources)
    return Verdict.ok(f"{count} settings are given and all can be used.")


def _safe(case: Case) -> Sequence[Verdict] | Verdict:
    """List what production refuses: a problem there, a word elsewhere."""
    settings = case.given
    found = unsafe_in_production(settings)
    if not found:
        return Verdict.ok("Nothing in the settings is unsafe for production.")
    say = Verdict.problem if settings.production else Verdict.warning
    told = "" if settings.production else " Production will refuse it."
    return [say(f"{p.name}: {p.reason}{told}", p.cure) for p in found]


def _environment(case: Case) -> Verdict:
    settings = case.given
    signs = [
        sign
        for sign, there in (
            ("BARTIZAN_BASE_URL is an https address", settings.secure_cookies),
            ("the database is a PostgreSQL elsewhere", _elsewhere(settings.database)),
        )
        if there
    ]
    if settings.production or not signs:
        return Verdict.ok(f"This is {settings.environment}.")
    return Verdict.warning(
        f"This says {settings.environment}, but {' and '.join(signs)}.",
        "If people use it, set BARTIZAN_ENVIRONMENT=production.",
    )


def _elsewhere(database: str) -> bool:
    rest = database.partition("://")[2].rpartition("@")[2]
    local = ("localhost", "127.0.0.1", "[::1]", "/", "?")
    return database.startswith("postgres") and bool(rest) and not rest.startswith(local)


SETTINGS = (
    Check(
        code="settings.valid",
        group="Settings",
        asks="Every setting has a known name and a value that can be used.",
        why="A misspelt setting is not ignored: nothing starts until it is mended.",
        look=_valid,
        needs="nothing",
        gives="settings",
    ),
    Check(
        code="settings.safe",
        group="Settings",
        asks="Nothing is set, or left unset, that production refuses.",
        why="In production the app does not start with any of these; find out today, not on the day.",
        look=_safe,
        needs="settings",
    ),
    Check(
        code="settings.environment",
        group="Settings",
        asks="The environment is what the other settings look like.",
        why="Outside of production what is unsafe is let pass.",
        look=_environment,
        needs="settings",
    ),
)
