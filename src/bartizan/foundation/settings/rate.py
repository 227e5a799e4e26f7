"""How often something may happen, as an operator writes it: ``100/minute burst 200``."""

import re
from dataclasses import dataclass
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

MICROSECOND: Final = 1_000_000
"""How many of them are a second; rates are counted in whole ones, so that nothing is rounded away."""

_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
_SHORT = {"s": "second", "sec": "second", "m": "minute", "min": "minute", "h": "hour", "d": "day"}
_TEXT = re.compile(
    r"\s*(?P<count>\d{1,9})\s*/\s*(?P<times>\d{1,6})?\s*(?P<unit>[a-z]+)(?:\s+burst\s+(?P<burst>\d{1,9}))?\s*",
    re.IGNORECASE | re.ASCII,
)
_LONGEST = 31 * 86_400
_CURE = 'Write it as "100/minute", "20/second" or "100/minute burst 200".'


@dataclass(frozen=True, slots=True, repr=False)
class Rate:
    """So many in so many seconds on average, and at most ``burst`` at once.

    In any span of ``t`` seconds at most ``burst + t * count / per`` are let through. A setting or a field of
    this type takes the text that :meth:`parse` reads, and shows it.
    """

    count: int
    per: int = 60
    """Seconds."""
    burst: int = 0
    """How many may come at once after a rest; left out, as many as ``count``."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant, naming the part and the cure."""
        if self.burst == 0:
            object.__setattr__(self, "burst", self.count)
        for name in ("count", "per", "burst"):
            if getattr(self, name) < 1:
                message = f"{name} must be 1 or more. {_CURE}"
                raise ValueError(message)
        if self.count > self.per * MICROSECOND:
            message = (
                f"count is {self.count} in {self.per} s; more than a million a second is no limit. {_CURE}"
            )
            raise ValueError(message)
        if self.increment * self.burst > _LONGEST * MICROSECOND:
            message = (
                f"burst is {self.burst}, which would take longer than 31 days to come back. "
                "Choose a smaller burst or a faster rate."
            )
            raise ValueError(message)

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """Read ``100/minute``, ``5/10 seconds`` or ``100/minute burst 200``; ``ValueError`` says why not."""
        match = _TEXT.fullmatch(text)
        if match is None:
            message = f"{text[:60]!r} is no rate. {_CURE}"
            raise ValueError(message)
        word = match["unit"].lower()
        word = word if word in _SHORT else word.removesuffix("s")
        unit = _UNITS.get(_SHORT.get(word, word))
        if unit is None:
            message = f"{match['unit'][:20]!r} is no unit: use second, minute, hour or day. {_CURE}"
            raise ValueError(message)
        per = unit if match["times"] is None else int(match["times"]) * unit
        if match["burst"] is None:
            return cls(int(match["count"]), per)
        return cls(int(match["count"]), per, int(match["burst"]) or -1)

    @property
    def increment(self) -> int:
        """Microseconds that one of them costs, rounded up: never faster than was said."""
        return -(-self.per * MICROSECOND // self.count)

    @property
    def window(self) -> int:
        """Seconds after which the whole burst is there again."""
        return -(-self.increment * self.burst // MICROSECOND)

    def tighter(self, other: "Rate") -> "Rate":
        """Give the rate that keeps both: the slower of the two, with the smaller burst."""
        slower = self if self.increment >= other.increment else other
        return Rate(slower.count, slower.per, min(self.burst, other.burst))

    def within(self, other: "Rate") -> bool:
        """Tell whether whoever keeps this rate keeps the other."""
        return self.increment >= other.increment and self.burst <= other.burst

    def __str__(self) -> str:
        """Write it as :meth:`parse` reads it."""
        name = next((name for name, seconds in _UNITS.items() if seconds == self.per), f"{self.per} seconds")
        return f"{self.count}/{name}" + (f" burst {self.burst}" if self.burst != self.count else "")

    def __repr__(self) -> str:
        """Show it as it is written."""
        return f"Rate({str(self)!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let pydantic read the text, and write it."""
        return core_schema.no_info_plain_validator_function(
            _read, serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Describe the text."""
        return {
            "type": "string",
            "maxLength": 60,
            "examples": ["100/minute burst 200", "20/second"],
            "description": "So many in a second, minute, hour or day, and at most `burst` at once.",
        }


def _read(value: Any) -> Rate:
    if isinstance(value, Rate):
        return value
    if isinstance(value, str):
        return Rate.parse(value)
    message = f"a rate is a text. {_CURE}"
    raise ValueError(message)
