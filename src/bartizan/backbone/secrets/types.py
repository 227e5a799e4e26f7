"""What goes in and out. A value goes in, and comes out only to code that asks for it by name."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=80,
        pattern=r"^[A-Za-z][A-Za-z0-9._-]*$",
        description="What code calls it by.",
        examples=["stripe.api-key"],
    ),
]
Value = Annotated[
    SecretStr,
    Field(min_length=1, max_length=65_536, description="The value; it is never shown again."),
]
Platform = Annotated[
    bool,
    Field(description="Whether this is a secret of the platform itself, which only operators may change."),
]


class NewSecret(BaseModel):
    """A secret to be stored."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    value: Value
    description: str = Field(
        default="", max_length=500, description="What it is for. Not a place for secrets."
    )


class SecretRotation(BaseModel):
    """A new value for a secret."""

    model_config = ConfigDict(extra="forbid")

    value: Value


class Secret(BaseModel):
    """All that is shown of a secret: never its value."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    name: str = Field(description="What code calls it by.")
    description: str = Field(description="What it is for.")
    version: int = Field(description="Number of the newest version; the first is 1.")
    created_at: datetime = Field(description="When the secret was first stored.")
    set_at: datetime = Field(description="When its newest value was set.")
    set_by: str = Field(description="Id of who set the newest value.")
