"""The shapes of settings: sections, the root, and what is said about each value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

Environment = Literal["development", "production", "test"]

_SHORTEST_KEY = 32
_FEWEST_LETTERS = 10
_NEW_KEY = 'Make one: python -c "import secrets; print(secrets.token_urlsafe(48))".'


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one setting, and what to do about it."""

    name: str
    """In a section: the field. In an error: the environment variable."""
    reason: str
    cure: str = ""


class Section(BaseModel):
    """One room's settings; each field is also ``BARTIZAN_<ROOM>__<FIELD>``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def unsafe(self) -> Sequence[Problem]:
        """List what must not be so in production; each problem names a field of this section."""
        return ()


class ModuleSection(Section):
    """The settings of a room that can be left out."""

    enabled: bool = Field(default=True, description="Whether this module is on.")


def rules(
    *,
    production_required: bool = False,
    production_refuses: Sequence[str | float | bool | None] = (),
    secret: bool = False,
    also: Sequence[str] = (),
    cure: str = "",
) -> dict[str, Any]:
    """Say more about a field: ``Field(json_schema_extra=rules(production_required=True))``.

    ``production_required`` refuses to start in production unless the field was set (or is not empty);
    ``production_refuses`` lists values that production does not accept; ``secret`` hides the value,
    as the type ``SecretStr`` does; ``also`` are other environment variables that set it; ``cure`` is
    the advice given with a refusal.
    """
    return {
        "production_required": production_required,
        "production_refuses": list(production_refuses),
        "secret": secret,
        "also": list(also),
        "cure": cure,
    }


class BaseSettings(Section):
    """What every house has at the root of its settings; subclass it with one field per room."""

    prefix: ClassVar[str] = "BARTIZAN_"

    environment: Environment = Field(
        default="development",
        description="development, test, or production, which refuses to start with anything unsafe.",
    )
    database: str = Field(
        default="sqlite:///bartizan.db",
        description="Address of the database: sqlite:///file.db or postgresql+asyncpg://user:password@host/name.",
        json_schema_extra=rules(
            production_required=True,
            cure="Name the database, even if it is SQLite.",
        ),
    )
    redis: str | None = Field(
        default=None,
        description="Address of Redis or Valkey, redis://host:6379/0; replicas can do without.",
    )
    secret_key: tuple[SecretStr, ...] = Field(
        default=(),
        description="Root of every other key, at least 32 characters; several by commas, the newest first.",
        json_schema_extra=rules(production_required=True, cure=_NEW_KEY),
    )
    mount: str = Field(
        default="/_bartizan",
        max_length=200,
        description="Base path of our own pages and API; empty when nothing else is served.",
    )
    base_url: str = Field(
        default="http://127.0.0.1:8000",
        max_length=300,
        description="Where people reach this house from outside; links in e-mail begin with it.",
        json_schema_extra=rules(production_required=True, cure="Give the public https:// address."),
    )
    data_dir: Path = Field(
        default=Path(".bartizan"),
        description="Folder for files of our own: the development key, uploads.",
    )
    enable_auth: bool = Field(
        default=True,
        description="Off: every request is a development user's, with every permission.",
        json_schema_extra=rules(
            production_refuses=[False], also=["ENABLE_AUTH"], cure="Leave authentication on."
        ),
    )
    enable_multi_tenancy: bool = Field(
        default=True,
        description="Off: there is one organization, and everyone is in it.",
        json_schema_extra=rules(also=["ENABLE_MULTI_TENANCY"]),
    )
    enable_audit_logging: bool = Field(
        default=True,
        description="Off: nothing is written to the audit log.",
        json_schema_extra=rules(also=["ENABLE_AUDIT_LOGGING"]),
    )

    @field_validator("secret_key", mode="before")
    @classmethod
    def _one_key_is_enough(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str | SecretStr) else value

    @field_validator("mount")
    @classmethod
    def _begins_with_a_slash(cls, value: str) -> str:
        mount = value.rstrip("/")
        if mount and not mount.startswith("/"):
            message = "a path begins with a slash"
            raise ValueError(message)
        return mount

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            message = "an address begins with http:// or https://"
            raise ValueError(message)
        return value.rstrip("/")

    @property
    def production(self) -> bool:
        """Whether this is the real thing."""
        return self.environment == "production"

    def unsafe(self) -> Sequence[Problem]:
        """Refuse keys that can be guessed."""
        found: list[Problem] = []
        for place, key in enumerate((k.get_secret_value() for k in self.secret_key), 1):
            which = "The key" if len(self.secret_key) == 1 else f"Key {place}"
            if len(key) < _SHORTEST_KEY:
                found.append(
                    Problem("secret_key", f"{which} is shorter than {_SHORTEST_KEY} characters.", _NEW_KEY)
                )
            elif len(set(key)) < _FEWEST_LETTERS or "change-me" in key.lower():
                found.append(Problem("secret_key", f"{which} can be guessed.", _NEW_KEY))
        return found


Root = TypeVar("Root", bound=BaseSettings)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[Root]):
    """Settings, and where each of their values came from."""

    settings: Root
    sources: Mapping[str, str] = field(default_factory=dict[str, str])
    """By dotted name, such as ``webhooks.timeout``; a name that is missing has its default."""


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One line of ``bartizan settings show``."""

    name: str
    value: str
    default: str
    source: str
    description: str
    secret: bool
