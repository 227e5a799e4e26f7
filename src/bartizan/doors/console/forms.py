"""Forms: what their fields are, what a browser sent, and what was wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast
from urllib.parse import parse_qsl

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import Request

from bartizan.foundation.errors import Invalid, Refusal, TooMany

_MOST_BYTES = 65_536
_MOST_FIELDS = 50
_URLENCODED = "application/x-www-form-urlencoded"
_MINUTE = 60
_LINKS = frozenset({"token", "owner_token", "invitation"})

Kind = Literal["text", "email", "password", "checkbox", "hidden"]


class UnreadableForm(Invalid):
    """The form could not be read; open the page again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a form, as a person sees it."""

    name: str
    label: str = ""
    kind: Kind = "text"
    autocomplete: str = ""
    """What password managers and browsers fill in (WCAG 2.2, 1.3.5)."""
    hint: str = ""
    required: bool = True
    focus: bool = False
    longest: int = 200
    options: Sequence[tuple[str, str]] = ()
    missing: str = ""
    """What to say when it is empty: ``Enter your e-mail address``."""


@dataclass(slots=True)
class Form:
    """The values of a form, and its errors."""

    values: dict[str, str] = field(default_factory=dict[str, str])
    wrong: dict[str, str] = field(default_factory=dict[str, str])
    """By field."""
    problem: str = ""
    """What is wrong with the whole of it."""

    @property
    def failed(self) -> bool:
        """Whether there is anything to put right."""
        return bool(self.wrong or self.problem)

    def __getitem__(self, name: str) -> str:
        """Give a value; empty where nothing was sent."""
        return self.values.get(name, "")

    def check(self, fields: Sequence[Field]) -> bool:
        """Look for what is missing or too long; tell whether all is well."""
        for spec in fields:
            value = self[spec.name]
            if spec.required and not value.strip():
                self.wrong[spec.name] = spec.missing or f"Fill in: {spec.label.lower()}"
            elif len(value) > spec.longest:
                self.wrong[spec.name] = f"{spec.label} is longer than {spec.longest} characters"
        return not self.failed

    def refuse(self, error: Refusal | ValidationError, fields: Sequence[Field]) -> None:
        """Put what a service said beside the fields it is about."""
        names = {spec.name: spec for spec in fields}
        for place, text in _complaints(error):
            if place in names:
                self.wrong.setdefault(place, text)
            else:
                self.problem = self.problem or text


def _complaints(error: Refusal | ValidationError) -> Sequence[tuple[str, str]]:
    if isinstance(error, ValidationError):
        return [_complaint(one) for one in error.errors()]
    if isinstance(error, TooMany):
        seconds = int(error.facts.get("retry_after") or _MINUTE)
        minutes = -(-seconds // _MINUTE)
        wait = f"{minutes} minutes" if minutes > 1 else "a minute"
        return [("", f"Too many attempts. Wait {wait}, then try again.")]
    listed: Any = error.facts.get("errors")
    if isinstance(listed, list) and listed:
        whole = {"field": error.facts.get("field", ""), "message": str(error)}
        problems: list[dict[str, Any]] = [whole | one for one in cast("list[dict[str, Any]]", listed)]
        return [(str(one["field"]).rpartition(".")[2], str(one["message"])) for one in problems]
    return [(str(error.facts.get("field", "")), str(error))]


def _complaint(one: ErrorDetails) -> tuple[str, str]:
    place = str(one["loc"][0]) if one["loc"] else ""
    if place in _LINKS:
        return "", "The link is not complete. Open it again from the mail, or ask for another one."
    return place, one["msg"].removeprefix("Value error, ")


async def read(request: Request) -> Form:
    """Read a posted form: urlencoded, at most 64 kB and 50 fields; of two alike the first counts."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _URLENCODED:
        raise UnreadableForm
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise UnreadableForm
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"
        )
    except ValueError as error:
        raise UnreadableForm from error
    form = Form()
    for name, value in pairs:
        if "\0" in value:
            raise UnreadableForm
        form.values.setdefault(name, value)
    return form
