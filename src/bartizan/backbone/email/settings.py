"""What an operator can turn about e-mail."""

from collections.abc import Sequence
from email.utils import parseaddr
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from bartizan.foundation.settings import Problem, Section

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class EmailSettings(Section):
    """Where mail leaves the house, and in whose name."""

    backend: Literal["console", "file", "smtp"] = Field(
        default="console",
        description="`console` prints each mail (development), `file` writes .eml files, `smtp` sends.",
    )
    sender: str = Field(
        default="Bartizan <no-reply@localhost>", max_length=320, description="From: a name and an address."
    )
    reply_to: str | None = Field(default=None, max_length=320, description="Where answers go, if elsewhere.")
    product: str = Field(
        default="Bartizan", min_length=1, max_length=80, description="What mails call the product."
    )
    host: str = Field(default="localhost", max_length=253, description="The SMTP server.")
    port: int = Field(default=587, ge=1, le=65_535, description="Its port: 587 for STARTTLS, 465 for TLS.")
    tls: Literal["starttls", "tls", "none"] = Field(
        default="starttls",
        description="How the way to the server is encrypted; it is never left out silently.",
    )
    ca_file: Path | None = Field(default=None, description="Certificates to trust instead of the system's.")
    username: str | None = Field(default=None, max_length=320, description="SMTP user, if the server asks.")
    password: SecretStr | None = Field(default=None, description="SMTP password.")
    timeout: float = Field(
        default=30.0, gt=0, le=600, description="Seconds to wait for the server at each step."
    )
    folder: Path = Field(default=Path("mail"), description="Where the `file` backend writes.")
    templates: Path | None = Field(
        default=None, description="Folder of your own templates; a file there replaces ours of the same name."
    )
    attempts: int = Field(
        default=24,
        ge=1,
        le=100,
        description="How often a mail is tried; the default goes on for about 14 hours.",
    )
    attachments_limit: int = Field(
        default=10_485_760,
        ge=0,
        le=52_428_800,
        description="The most bytes that one mail's attachments may have.",
    )
    keep_days: int = Field(
        default=30,
        ge=1,
        le=3650,
        description="Days that the record of a finished mail is kept. Its text is not.",
    )

    def unsafe(self) -> Sequence[Problem]:
        """Refuse to print mails, and with them links that let people in, into a server's log."""
        if self.backend != "console":
            return ()
        cure = "Set it to smtp, or to file where nobody shall get mail."
        return (Problem("backend", "Links to set passwords would stand in the log.", cure),)

    @field_validator("sender", "reply_to")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is not None and ("@" not in parseaddr(value)[1] or any(c in value for c in "\r\n\0")):
            message = "not an address such as: Acme <no-reply@acme.example>"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _keeps_the_password(self) -> Self:
        if self.password and self.tls == "none" and self.host not in _LOOPBACK:
            message = "a password would travel in the clear: set tls to starttls or tls"
            raise ValueError(message)
        return self
