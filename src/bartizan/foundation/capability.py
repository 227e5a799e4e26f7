"""What a room brings to the house: its inventory, and the shape of the facts it announces."""

import re
from collections.abc import Callable, Mapping, Sequence
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
