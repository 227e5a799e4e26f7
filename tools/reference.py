"""Write docs/reference from what the code declares: ``python tools/reference.py``.

The pages are committed, so that a change of a setting, event, error, permission or command is seen in review;
a test compares them with what this would write.
"""

import inspect
import json
import re
import sys
import tempfile
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from enum import Enum
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import walk_packages
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import click
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from bartizan.doors.http import openapi
from bartizan.foundation import errors
from bartizan.foundation.capability import Capability, Event
from bartizan.foundation.errors import BartizanError
from bartizan.house import Bartizan

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.inventory import REPOSITORY, capabilities

FOLDER = REPOSITORY / "docs" / "reference"
NOTE = "<!-- Written by `make reference` from the code. Change the code, not this page. -->\n"
STATUS: Mapping[type[BartizanError], int] = {
    errors.Invalid: 422,
    errors.Unauthenticated: 401,
    errors.PaymentRequired: 402,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooMany: 429,
    errors.Unavailable: 503,
    errors.Fault: 500,
}


def sentence(thing: Any) -> str:
    """Give the first paragraph of a docstring on one line, in Markdown."""
    text = inspect.cleandoc(getattr(thing, "__doc__", None) or "").split("\n\n")[0]
    return " ".join(text.split()).replace("``", "`")


def rest(thing: Any) -> str:
    """Give what a docstring says after its first paragraph."""
    return "\n\n".join(inspect.cleandoc(thing.__doc__ or "").split("\n\n")[1:]).replace("``", "`")


def cell(text: object) -> str:
    """Make a text fit into a table."""
    return " ".join(str(text).split()).replace("|", "\\|")


def kind(annotation: Any) -> str:
    """Say in a word what a field holds."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return kind(arguments[0])
    if origin in {Union, types.UnionType}:
        return " or ".join("none" if part is type(None) else kind(part) for part in arguments)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(f"`{member.value}`" for member in annotation)
    if origin is not None:
        inner = ", ".join(kind(part) for part in arguments if part is not Ellipsis)
        return f"{'mapping' if issubclass(origin, Mapping) else 'list'} of {inner}"
    names = {
        "SecretStr": "secret text",
        "str": "text",
        "int": "integer",
        "float": "number",
        "bool": "yes or no",
    }
    name = getattr(annotation, "__name__", str(annotation))
    return names.get(name, name)


def section_of(annotation: Any) -> type[BaseModel] | None:
    """Give the section of settings that a field holds, if it does."""
    found = [
        part
        for part in (annotation, *get_args(annotation))
        if isinstance(part, type) and issubclass(part, BaseModel)
    ]
    return (
        found[0] if found and get_origin(annotation) not in {tuple, list, Sequence, Mapping, dict} else None
    )


def default(info: FieldInfo) -> str:
    """Write a default as an operator would."""
    if info.is_required():
        return "*required*"
    value = info.get_default(call_default_factory=True)
    if isinstance(value, SecretStr):
        return ""
    if value is None or value in ((), [], {}, ""):
        return ""
    if isinstance(value, tuple | list | frozenset):
        return f"`{','.join(str(part) for part in value)}`"
    return f"`{value}`"


def setting_rows(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """Write a table of one section's own fields."""
    own = [(n, i) for n, i in model.model_fields.items() if section_of(i.annotation) is None]
    if not own:
        return
    yield from ("| variable | holds | default | meaning |", "|---|---|---|---|")
    for name, info in own:
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        also = "".join(f" Also `{other}`." for other in extra.get("also", ()))  # type: ignore[union-attr]
        needed = " Required in production." if extra.get("production_required") else ""
        meaning = cell(f"{info.description or ''}{needed}{also}")
        row = (f"`{prefix}{name.upper()}`", cell(kind(info.annotation)), cell(default(info)), meaning)
        yield f"| {' | '.join(row)} |"
    yield ""


def settings() -> Iterator[str]:
    """Write every setting of every room."""
    yield "# Settings\n"
    yield "Set in the environment, `.env` or code; `bartizan settings show` says where a value is from.\n"
    seen: set[type[BaseModel]] = set()
    if find_spec("bartizan.house"):
        root: type[BaseModel] = import_module("bartizan.house").Settings
        yield f"{sentence(root)}\n"
        yield from setting_rows(root, "BARTIZAN_")
        for name, info in root.model_fields.items():
            if section := section_of(info.annotation):
                seen.add(section)
                yield f"## {name}\n\n{sentence(section)}\n"
                yield from setting_rows(section, f"BARTIZAN_{name.upper()}__")
    for room in capabilities():
        if room.settings and room.settings not in seen:
            yield f"## {room.name}\n\n{sentence(room.settings)}\n"
            yield from setting_rows(room.settings, f"BARTIZAN_{room.name.upper()}__")


def events() -> Iterator[str]:
    """Write every event that a room announces."""
    yield "# Events\n"
    yield "Each is announced in the transaction that makes it true. Its name is the audit action too.\n"
    for room in capabilities():
        if room.events:
            yield f"## {room.name}\n"
            for event in sorted(room.events, key=lambda event: event.name):
                yield f"### {event.name}\n\n{sentence(event)}\n"
                yield from event_rows(event)


def event_rows(event: type[Event]) -> Iterator[str]:
    """Write what an event carries."""
    hints = get_type_hints(event)
    if carried := fields(event):
        yield from ("| field | holds | |", "|---|---|---|")
        for field in carried:
            marks = [
                "personal" if field.name in event.personal else "",
                "what it happened to" if field.name == event.target else "",
            ]
            yield f"| `{field.name}` | {cell(kind(hints[field.name]))} | {', '.join(filter(None, marks))} |"
        yield ""
    facts = [
        "" if event.audited else "Not audited.",
        "" if event.compliance == "standard" else f"Compliance level: {event.compliance}.",
        "" if event.outcome == "success" else f"Outcome: {event.outcome}.",
    ]
    if said := " ".join(filter(None, facts)):
        yield f"{said}\n"


def permissions() -> Iterator[str]:
    """Write every permission that a room declares."""
    yield "# Permissions\n"
    yield "Roles are sets of these. A dot or a plural is understood: `invoices.read` is `invoice:read`.\n"
    for room in capabilities():
        if room.permissions:
            yield from (f"## {room.name}\n", "| permission | allows to |", "|---|---|")
            for permission in room.permissions:
                yield f"| `{permission.name}` | {cell(permission.meaning)} |"
            yield ""


def status(error: type[BartizanError]) -> int:
    """Find the HTTP status by the kind of an error."""
    return next((STATUS[kind] for kind in error.__mro__ if kind in STATUS), 500)


_ELSEWHERE = {"backends", "migrations", "testing", "datasette", "mlflow"}
"""Modules that are imported where their library is."""


def problems() -> Iterator[str]:
    """Write every error, by its stable code."""
    yield "# Errors\n"
    yield "Over HTTP each is a problem document (RFC 9457) with its code; in a shell, an exit code.\n"
    for floor in ("bartizan.foundation", "bartizan.doors"):  # a class that nobody imported is not known
        for module in walk_packages(import_module(floor).__path__, f"{floor}."):
            if not _ELSEWHERE & set(module.name.split(".")):
                import_module(module.name)
    every = {error for error in subclasses(BartizanError) if not error.__name__.startswith("_")}
    for name, place in (("everywhere", "bartizan.foundation"), ("doors", "bartizan.doors")):
        yield from problem_section(name, [error for error in every if error.__module__.startswith(place)])
    for room in capabilities():
        if room.errors:
            yield from problem_section(room.name, room.errors)


def problem_section(name: str, found: Iterable[type[BartizanError]]) -> Iterator[str]:
    """Write the errors of one room."""
    yield f"## {name}\n"
    for error in sorted(found, key=lambda error: error.code):
        yield f"### {error.code}\n\n**{status(error)}** {sentence(error)}\n"
        if more := rest(error):
            yield f"{more}\n"


def subclasses(error: type[BartizanError]) -> Iterator[type[BartizanError]]:
    """Walk down the tree of errors."""
    for child in error.__subclasses__():
        yield child
        yield from subclasses(child)


def commands() -> Iterator[str]:
    """Write every command."""
    yield "# Commands\n"
    if not find_spec("bartizan.doors.cli"):
        return
    group = import_module("bartizan.doors.cli.main").bartizan
    yield from command(group, click.Context(group, info_name="bartizan"))


def command(spoken: click.Command, context: click.Context) -> Iterator[str]:
    """Write one command, and those below it."""
    if context.parent is not None:
        yield f"## {context.command_path}\n"
        yield f"```text\n{plain(spoken.get_help(context))}\n```\n"
    if isinstance(spoken, click.Group):
        for name in spoken.list_commands(context):
            if (child := spoken.get_command(context, name)) and not child.hidden:
                yield from command(child, click.Context(child, info_name=name, parent=context))


def plain(text: str) -> str:
    """Drop what a terminal would colour."""
    return "\n".join(line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()).strip()


def operations() -> Iterator[str]:
    """Write the OpenAPI document, for reviews and for programs that generate clients."""
    with tempfile.TemporaryDirectory() as folder:
        house = Bartizan(
            {"environment": "test", "data_dir": folder, "database": f"sqlite:///{folder}/none.db"}
        )
        yield json.dumps(openapi(house), indent=1, sort_keys=True, ensure_ascii=False)
        house.identity.close()


PAGES: Mapping[str, Callable[[], Iterator[str]]] = {
    "settings.md": settings,
    "events.md": events,
    "permissions.md": permissions,
    "errors.md": problems,
    "commands.md": commands,
    "openapi.json": operations,
}


def page(name: str) -> str:
    """Write one page."""
    if name.endswith(".json"):
        return "\n".join(PAGES[name]()) + "\n"
    return NOTE + "\n" + "\n".join(PAGES[name]()).rstrip() + "\n"


def undocumented(room: Capability) -> Sequence[str]:
    """List what a room declares without a word about it."""
    said: list[tuple[str, str | None]] = [(f"room {room.name}", room.summary)]
    said += [(f"permission {p.name}", p.meaning) for p in room.permissions]
    said += [(f"event {e.name}", own_words(e)) for e in room.events]
    said += [(f"error {e.code}", own_words(e)) for e in room.errors]
    if room.settings:
        said += [(f"setting {room.name}.{n}", i.description) for n, i in room.settings.model_fields.items()]
    return [what for what, words in said if not words]


def own_words(cls: type) -> str | None:
    """Give a class's own docstring, unless a dataclass made it up."""
    words: str | None = cls.__dict__.get("__doc__")
    return None if words and words.startswith(f"{cls.__name__}(") else words


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file in PAGES:
        (FOLDER / file).write_text(page(file))
