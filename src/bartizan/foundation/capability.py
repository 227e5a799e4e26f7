"""What a room brings to the house: its inventory, and the shape of the facts it announces."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import get_annotations
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from .context import Permission
from .errors import BartizanError

if TYPE_CHECKING:  # the inventory is also read by the command line, which starts without FastAPI
    from fastapi import APIRouter

    from .database import Table
    from .settings import Section

Compliance = Literal["standard", "hipaa", "pci"]
Outcome = Literal["success", "failure", "denied"]
State = Literal["ok", "warning", "problem", "unknown"]
_WORD = re.compile(r"[A-Z][a-z0-9]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A fact worth announcing; the class name gives its name: ``ApiKeyRevoked``, ``api_key.revoked``."""

    name: ClassVar[str] = ""
    target: ClassVar[str | None] = None
    """The field that holds the id of what it happened to, such as ``key_id``."""
    personal: ClassVar[frozenset[str]] = frozenset()
    """Fields that identify a person: sealed apart in the audit log, so that they can be erased."""
    outcome: ClassVar[Outcome] = "success"
    compliance: ClassVar[Compliance] = "standard"
    audited: ClassVar[bool] = True

    def __init_subclass__(cls) -> None:
        """Derive the event's name from the class."""
        if "name" in get_annotations(cls):
            message = f"{cls.__name__}: no field can be called `name`, which is the event's own."
            raise TypeError(message)
        words = _WORD.findall(cls.__name__)
        cls.name = f"{'_'.join(words[:-1])}.{words[-1]}".lower()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one look at the installation found."""

    state: State
    what: str
    """One sentence with the figures in it."""
    fix: str = ""
    """The exact command, setting or step that mends it."""
    repair: Callable[[], Awaitable[str]] | None = None
    """Mends it at once and says what was done. Only for what cannot harm: it never deletes."""

    @classmethod
    def ok(cls, what: str) -> "Verdict":
        """Say that all is well."""
        return cls("ok", what)

    @classmethod
    def unknown(cls, what: str, fix: str = "") -> "Verdict":
        """Say that nothing can be said, and why."""
        return cls("unknown", what, fix)

    @classmethod
    def warning(
        cls, what: str, fix: str = "", repair: Callable[[], Awaitable[str]] | None = None
    ) -> "Verdict":
        """Say what will hurt one day."""
        return cls("warning", what, fix, repair)

    @classmethod
    def problem(
        cls, what: str, fix: str = "", repair: Callable[[], Awaitable[str]] | None = None
    ) -> "Verdict":
        """Say what hurts now."""
        return cls("problem", what, fix, repair)


Verdicts = Verdict | Sequence[Verdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One look that ``bartizan doctor`` and the page on the system's health take."""

    code: str
    """Stable: the group's word and the check's, such as ``database.revision``."""
    group: str
    asks: str
    """What it looks at, as a sentence that is true while all is well."""
    why: str
    """Why it matters."""
    look: Callable[[Any], Verdicts | Awaitable[Verdicts]]
    """Takes the room's service; the checks of doors take the whole case."""
    mends: str = ""
    """What ``--fix`` does about it, if anything."""
    needs: str = "tables"
    """What has to stand before it can look: ``nothing``, ``settings``, ``database``, ``tables``, ``app``."""
    gives: str = ""
    """What of these stands unless this is a problem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """The inventory of one room. Its name is the same everywhere: folder, attribute, permission."""

    name: str
    summary: str
    tables: "Sequence[type[Table]]" = ()
    permissions: Sequence[Permission] = ()
    events: Sequence[type[Event]] = ()
    errors: Sequence[type[BartizanError]] = ()
    routes: "Callable[[Any], APIRouter] | None" = None
    """Builds the room's HTTP routes from its service."""
    jobs: Mapping[str, Callable[..., Any]] | None = None
    """Job kinds and the unbound service methods that do them."""
    settings: "type[Section] | None" = None
    checks: Sequence[Check] = ()
    """What the doctor looks at; each takes the room's service."""
