"""Bodies and values that a schema accepts, with a mark in every text that may hold one."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, cast
from uuid import uuid4

from .surface import Schema

_DEEPEST = 6
_WORD = "sample"
"""Stands in every text of every tenant: what searches for it finds one's own."""


class Sampler:
    """Makes values for one tenant; texts carry the tenant's mark and a number of their own."""

    def __init__(self, mark: str, components: Schema) -> None:
        """Resolve references in ``components``."""
        self.mark = mark
        self._components = components
        self._numbers = count(1)

    def value(  # noqa: C901, PLR0911 - one line for each kind of schema
        self, schema: Schema, name: str = "", depth: int = 0
    ) -> Any:
        """Make a value that the schema accepts."""
        schema = self.resolved(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][0]
        if depth > _DEEPEST:
            return None
        for key in ("allOf", "anyOf", "oneOf"):
            if parts := schema.get(key):
                return self._composed(key, parts, name, depth)
        match self._kind(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, depth)
            case "integer" | "number" as kind:
                return self._number(schema, whole=kind == "integer")
            case "boolean":
                return schema.get("default", False)
            case "null":
                return None
            case _:
                return self.text(schema, name)

    def marked(self, example: Mapping[str, Any]) -> dict[str, Any]:
        """Copy an example; ``{mark}`` in its texts becomes this tenant's mark with a new number."""
        mark = f"{self.mark}{next(self._numbers):03d}"
        return {k: v.replace("{mark}", mark) if isinstance(v, str) else v for k, v in example.items()}

    def properties(self, schema: Schema) -> Mapping[str, Schema]:
        """List the fields of an object's schema."""
        schema = self.resolved(schema)
        found = dict(schema.get("properties", {}))
        for part in (*schema.get("allOf", ()), *schema.get("anyOf", ()), *schema.get("oneOf", ())):
            found = {**self.properties(part), **found}
        return found

    def resolved(self, schema: Schema) -> Schema:
        """Follow references."""
        for _ in range(_DEEPEST):
            if not isinstance(reference := schema.get("$ref"), str):
                break
            schema = self._components.get(reference.rpartition("/")[2], {})
        return schema

    def text(self, schema: Schema, name: str = "") -> str:
        """Make a text, with the mark where it fits."""
        known = _FORMATS.get(str(schema.get("format", "")))
        number = next(self._numbers)
        if known:
            return known(self.mark, number)
        if re.search(r"e-?mail", name, re.IGNORECASE):
            return _FORMATS["email"](self.mark, number)
        text = f"{self.mark}{number:03d} {_WORD}"
        if pattern := schema.get("pattern"):
            tries = (text, text.replace(" ", "-"), text.replace(" ", "_"), text.replace(" ", ""))
            more = (f"/{tries[1]}", "#3366cc", "abc", "ABC", "123", "2030-01-01", "en", "EUR", "a.b")
            text = next((one for one in (*tries, *more) if re.search(str(pattern), one)), text)
        most = schema.get("maxLength")
        if isinstance(most, int) and len(text) > most:
            text = f"{self.mark}{number:03d}"[:most] if most >= len(self.mark) else "x" * max(most, 1)
        least: int = schema.get("minLength", 0)
        return text + "x" * max(0, least - len(text))

    def _composed(self, key: str, parts: Sequence[Schema], name: str, depth: int) -> Any:
        if key == "allOf":
            values = [self.value(part, name, depth + 1) for part in parts]
            objects = [cast("dict[str, Any]", value) for value in values if isinstance(value, dict)]
            return {k: v for value in objects for k, v in value.items()} if objects else values[0]
        kinds = [part for part in parts if self._kind(self.resolved(part)) != "null"]
        return self.value((kinds or list(parts))[0], name, depth + 1)

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        fields = schema.get("properties", {})
        made = {name: self.value(inner, name, depth + 1) for name, inner in fields.items()}
        needed = set(schema.get("required", ()))
        return {name: value for name, value in made.items() if value is not None or name in needed}

    def _array(self, schema: Schema, name: str, depth: int) -> list[Any]:
        items = schema.get("items", {})
        return [self.value(items, name, depth + 1) for _ in range(max(1, schema.get("minItems", 1)))]

    def _number(self, schema: Schema, *, whole: bool) -> float:
        low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + ("exclusiveMinimum" in schema))
        high = schema.get("maximum", schema.get("exclusiveMaximum", 10**9) - ("exclusiveMaximum" in schema))
        number = max(low, min(max(1, low), high))
        step = schema.get("multipleOf")
        if step:
            number = -(-number // step) * step
        return int(number) if whole else number

    def _kind(self, schema: Schema) -> str:
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((one for one in cast("Sequence[str]", kind) if one != "null"), "null")
        if kind is None and "properties" in schema:
            return "object"
        return str(kind or "string")


def _soon(_mark: str, _number: int) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)


_FORMATS: Mapping[str, Callable[[str, int], str]] = {
    "date-time": lambda mark, number: _soon(mark, number).isoformat(),
    "date": lambda mark, number: _soon(mark, number).date().isoformat(),
    "time": lambda _mark, _number: "12:00:00",
    "duration": lambda _mark, _number: "PT1H",
    "email": lambda mark, number: f"{mark}{number:03d}@example.com",
    "uuid": lambda _mark, _number: str(uuid4()),
    "uri": lambda mark, number: f"https://{mark}{number:03d}.example.com/",
    "url": lambda mark, number: f"https://{mark}{number:03d}.example.com/",
    "hostname": lambda mark, number: f"{mark}{number:03d}.example.com",
    "ipv4": lambda _mark, _number: "203.0.113.7",
    "ipv6": lambda _mark, _number: "2001:db8::7",
    "binary": lambda mark, number: f"{mark}{number:03d} {_WORD}",
    "byte": lambda _mark, _number: "c2FtcGxl",
    "password": lambda mark, number: f"{mark}{number:03d}-Long-And-Unusual-77",
}
