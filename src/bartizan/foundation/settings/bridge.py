"""Settings of what the application behind the gate is told about who is asking."""

import re
from collections.abc import Iterator, Mapping, Sequence
from string import Formatter
from typing import Any, Literal, cast

from pydantic import Field, SecretStr, field_validator, model_validator

from .types import Problem, Section

FACTS = frozenset(
    {
        "id",
        "kind",
        "user_id",
        "email",
        "org_id",
        "team_id",
        "roles",
        "permissions",
        "traits",
        "actor_id",
        "operator",
    }
)
"""What a template may name: the fields of a caller, none of which is a credential."""
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NEVER = frozenset(
    {
        "connection",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_SHORTEST_SECRET = 32
_DEFAULT_CLAIMS: Mapping[str, Any] = {"sub": "{user_id}", "email": "{email}", "roles": "{roles}"}


class BridgeSettings(Section):
    """How the gate tells the app who is asking, in the app's own language: ``BARTIZAN_BRIDGE__…``.

    What a caller sends under one of these names never reaches the app. A header or claim whose template
    names something that the caller does not have is left out.
    """

    headers: Mapping[str, str] = Field(
        default={},
        description='Headers and their templates, as {"X-Forwarded-User": "{email}"}. A template may name '
        "id, kind, user_id, email, org_id, team_id, roles, permissions, traits, actor_id and operator.",
    )
    secret_headers: Mapping[str, SecretStr] = Field(
        default={},
        description='Headers that open the app itself, as {"X-Api-Key": "…"}; only for callers we know.',
    )
    remote_user: str = Field(
        default="", description="Template of REMOTE_USER for WSGI apps, as {email}; empty: none."
    )
    token_header: str = Field(
        default="", description="Header that carries a token minted for the app; empty: no token."
    )
    token_prefix: str = Field(default="Bearer ", description="What stands before the token in its header.")
    token_algorithm: Literal["HS256", "RS256", "ES256"] = Field(
        default="HS256", description="How the token is signed."
    )
    token_key: SecretStr | None = Field(
        default=None, description="Secret that the app shares (HS256), or private key in PEM (RS256, ES256)."
    )
    token_key_id: str = Field(default="", description="Name of the key, the token's kid; empty: none.")
    token_claims: Mapping[str, Any] = Field(
        default=_DEFAULT_CLAIMS,
        description="Claims and their templates; one that is nothing but {roles}, {permissions} or {traits} "
        "becomes a list.",
    )
    token_issuer: str = Field(default="", description="The token's iss; empty: none.")
    token_audience: str = Field(default="", description="The token's aud; empty: none.")
    token_lifetime: int = Field(
        default=300, ge=10, le=86400, description="Seconds for which a token is good."
    )

    @field_validator("headers", "secret_headers")
    @classmethod
    def _are_headers(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        for name in value:
            _check_name(name)
        return value

    @field_validator("token_header")
    @classmethod
    def _is_a_header(cls, value: str) -> str:
        if value:
            _check_name(value)
        return value

    @field_validator("headers", "remote_user", "token_claims")
    @classmethod
    def _are_templates(cls, value: Any) -> Any:
        for template in _texts(value):
            check_template(template)
        return value

    @field_validator("secret_headers")
    @classmethod
    def _are_plain(cls, value: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
        if any(not _is_plain(secret.get_secret_value()) for secret in value.values()):
            message = "a value holds a line break or another control character"
            raise ValueError(message)
        return value

    @field_validator("token_prefix")
    @classmethod
    def _is_one_line(cls, value: str) -> str:
        if not _is_plain(value):
            message = "it holds a line break or another control character"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _has_a_key(self) -> "BridgeSettings":
        if self.token_header and self.token_key is None:
            message = "a token needs a key: give token_key, or token_key_file with the file that holds it"
            raise ValueError(message)
        names = [name.lower().replace("_", "-") for name in self.every_header()]
        if len(set(names)) < len(names):
            message = "a header is named twice"
            raise ValueError(message)
        return self

    def every_header(self) -> Sequence[str]:
        """List the names of all headers that the bridge may set."""
        token = [self.token_header] if self.token_header else []
        return [*self.headers, *self.secret_headers, *token]

    def unsafe(self) -> Sequence[Problem]:
        """Refuse a shared secret that can be guessed."""
        secret = self.token_key.get_secret_value() if self.token_key else None
        shared = self.token_algorithm.startswith("HS")
        if secret is None or not shared or len(secret) >= _SHORTEST_SECRET:
            return ()
        reason = f"It is shorter than {_SHORTEST_SECRET} characters."
        return (Problem("token_key", reason, "Give the app and the bridge a longer one."),)


def check_template(template: str) -> None:
    """Refuse a template that names anything but a fact about the caller."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        message = f"a template cannot be read: {error}"
        raise ValueError(message) from error
    for literal, name, form, conversion in parts:
        if not _is_plain(literal):
            message = "a template holds a line break or another control character"
            raise ValueError(message)
        if name is not None and (name not in FACTS or form or conversion):
            message = f"{{{name}}} is not known; a template may name {', '.join(sorted(FACTS))}"
            raise ValueError(message)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        message = f"{name!r} is not the name of a header"
        raise ValueError(message)
    if name.lower().replace("_", "-") in _NEVER:
        message = f"{name} belongs to HTTP itself"
        raise ValueError(message)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in cast("Mapping[str, Any]", value).values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in cast("Sequence[Any]", value):
            yield from _texts(inner)


def _is_plain(text: str) -> bool:
    return all(letter == "\t" or (letter >= " " and letter != "\x7f") for letter in text)
