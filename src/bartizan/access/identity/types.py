"""What goes in and out, and what the room asks of others."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from bartizan.foundation.context import TRAIT

LONGEST_PASSWORD = 128
_ADDRESS = re.compile(r"[^@\s\x00-\x1f\x7f<>\"(),:;\\]{1,64}@[^@\s\x00-\x1f\x7f<>\"(),:;\\]+\.[^@\s.]{2,}")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,38}[a-z0-9])?")

Trait = Annotated[str, Field(pattern=TRAIT, max_length=60, examples=["hipaa_compliant"])]


def normal_email(text: str) -> str:
    """Write an e-mail address as it is stored and compared; ``ValueError`` if it is none."""
    address = unicodedata.normalize("NFKC", text).strip().casefold()
    if not _ADDRESS.fullmatch(address):
        message = "not an e-mail address"
        raise ValueError(message)
    return address


def normal_username(text: str) -> str:
    """Write a user name as it is stored and compared; ``ValueError`` if it is none."""
    name = unicodedata.normalize("NFKC", text).strip().casefold()
    if not _NAME.fullmatch(name):
        message = "letters a-z, digits and . _ - between them"
        raise ValueError(message)
    return name


def normal_login(text: str) -> str:
    """Write what somebody typed as their login as it is compared; any text has a form."""
    return unicodedata.normalize("NFKC", text).strip().casefold()


EmailAddress = Annotated[
    str,
    Field(
        max_length=320,
        description="An e-mail address; letter case does not count.",
        examples=["ada@example.com"],
    ),
    AfterValidator(normal_email),
]
Username = Annotated[
    str,
    Field(max_length=40, description="A user name to sign in with instead of the address.", examples=["ada"]),
    AfterValidator(normal_username),
]
FullName = Annotated[str, Field(min_length=1, max_length=120, pattern=r"\S", examples=["Ada Lovelace"])]
Password = Annotated[SecretStr, Field(min_length=1, max_length=LONGEST_PASSWORD)]
Login = Annotated[str, Field(min_length=1, max_length=320, description="E-mail address or user name.")]
LinkToken = Annotated[str, Field(min_length=20, max_length=100, description="The token of the mailed link.")]
UserIds = Annotated[list[Annotated[str, Field(max_length=30)]], Field(max_length=200)]
Search = Annotated[
    str | None,
    Field(max_length=120, description="Only people whose e-mail, user name or name begins with this."),
]
ActiveFilter = Annotated[bool | None, Field(description="Only accounts that are on, or off.")]
OperatorFilter = Annotated[bool | None, Field(description="Only operators of the platform, or only others.")]
UserLimit = Annotated[int, Field(ge=1, le=200, description="How many people a page holds at most.")]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewUser(_In):
    """An account to be opened."""

    email: EmailAddress
    password: Password
    username: Username | None = None
    full_name: FullName | None = None


class ImportedUser(_In):
    """An account from another system, with the password hash that system kept."""

    email: EmailAddress
    username: Username | None = None
    full_name: FullName | None = None
    password_hash: str | None = Field(
        default=None,
        max_length=500,
        description="Argon2, bcrypt, PBKDF2 or scrypt, as Django, passlib or Werkzeug write it. Without one,"
        " the person sets a password by a mailed link.",
    )
    email_verified: bool = Field(default=True, description="Whether that system had the address confirmed.")
    department: str | None = Field(default=None, max_length=120)


class ProfileChanges(_In):
    """What people change about themselves; what is left out stays."""

    full_name: FullName | None = None
    username: Username | None = None


class UserChanges(ProfileChanges):
    """What operators change about an account; what is left out stays."""

    email: EmailAddress | None = None
    email_verified: bool | None = None
    department: str | None = Field(default=None, max_length=120)
    traits: list[Trait] | None = Field(default=None, max_length=50)
    is_operator: bool | None = None


class EmailOnly(_In):
    """An e-mail address."""

    email: EmailAddress


class LinkOnly(_In):
    """The token of a mailed link."""

    token: LinkToken


class NewPassword(_In):
    """A new password, by a mailed link."""

    token: LinkToken
    password: Password


class PasswordChange(_In):
    """A new password, by the current one."""

    current_password: Password
    new_password: Password


class User(BaseModel):
    """A person who can sign in."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    id: str
    email: str
    username: str | None
    full_name: str | None
    department: str | None
    is_active: bool
    is_operator: bool
    email_verified_at: datetime | None
    traits: Sequence[str] = Field(description="Set by operators, or following from the trait rules.")
    last_sign_in_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedUser:
    """An account whose password was checked and hashed, so that the transaction that adds it is short."""

    email: str
    password_hash: str | None
    username: str | None = None
    full_name: str | None = None
    department: str | None = None


class Post(Protocol):
    """What sends letters, in the caller's transaction."""

    @property
    def delivers(self) -> bool:
        """Whether letters really reach people."""
        ...

    async def send(self, *, to: str, template: str, data: Mapping[str, Any] | None = None) -> object:
        """Send one letter."""
        ...
