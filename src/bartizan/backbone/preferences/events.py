"""What this room announces."""

from dataclasses import dataclass
from typing import Any, ClassVar

from bartizan.foundation.capability import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceChanged(Event):
    """A preference was set or unset at one level.

    Old and new values are JSON; none means unset. Values of a preference that is declared personal travel
    in the fields of that name, so that they can be erased with the person.
    """

    target: ClassVar[str | None] = "preference"
    personal: ClassVar[frozenset[str]] = frozenset({"personal_old", "personal_new"})

    preference: str
    level: str
    owner_id: str | None
    old: Any = None
    new: Any = None
    personal_old: Any = None
    personal_new: Any = None
