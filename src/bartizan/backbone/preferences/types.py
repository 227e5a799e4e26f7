"""What goes in and out."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Level = Literal["global", "organization", "team", "user"]
LEVELS: tuple[Level, ...] = ("global", "organization", "team", "user")
"""From the farthest to the nearest: a nearer value wins."""

OwnerId = Annotated[
    str | None,
    Field(max_length=40, description="Id of the team or person; your own where it is left out."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """A declared key: its type, its default, and where it may be set."""

    key: str
    """Lower-case words joined by dots, such as ``brand.hue``."""
    type: Any
    """Whatever pydantic validates: ``int``, ``Annotated[str, Field(max_length=80)]``, a model."""
    default: Any
    description: str
    levels: frozenset[Level] = frozenset(LEVELS)
    personal: bool = False
    """Whether a value may say something about a person: it is then sealed apart in the audit log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """For whom a preference is asked; what is none has no say."""

    org_id: str | None = None
    team_id: str | None = None
    user_id: str | None = None


class PreferenceChange(BaseModel):
    """A value to set."""

    model_config = ConfigDict(extra="forbid")

    value: Any = Field(description="The value, as JSON, of the preference's type; at most 16 kB.")


class Effective(BaseModel):
    """A preference as it holds for one place, and which level said so."""

    model_config = ConfigDict(frozen=True)

    key: str
    value: Any = Field(description="The value that holds, as JSON.")
    level: Level | None = Field(description="The level that set it; null when it is the default.")
    default: Any
    description: str
    levels: list[Level] = Field(description="Where it may be set.")
