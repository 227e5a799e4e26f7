"""What a tenant sees at one moment, and in what two moments differ."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

SUCCESS = range(200, 300)
Facts = Counter[tuple[str, str]]
"""How often each value stands at each place; the places in a list are one."""
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?")


def facts(status: int, told: Any, text: str) -> Facts:
    """Take an answer apart."""
    found: Facts = Counter({("status", str(status)): 1})
    if status not in SUCCESS:
        return found  # a refusal may name the request, which is another each time
    found.update(_leaves("", told) if told is not None else [("text", _timeless(text))])
    return found


def places(one: Facts, other: Facts) -> set[str]:
    """Name the places where two moments differ."""
    return {place for place, _ in (one - other) + (other - one)}


def difference(before: Facts, after: Facts, moving: set[str]) -> list[str]:
    """Say in what two moments differ, besides what moves by itself."""
    gone, come = before - after, after - before
    lost = [f"{place} was {value[:80]}" for place, value in gone if place not in moving]
    new = [f"{place} became {value[:80]}" for place, value in come if place not in moving]
    return [*sorted(lost), *sorted(new)]


def moving(one: Mapping[str, Facts], other: Mapping[str, Facts]) -> dict[str, set[str]]:
    """Find by two photographs what moves by itself, for each thing on them."""
    return {name: places(one[name], other.get(name, Counter())) for name in one}


def _leaves(place: str, told: Any) -> Iterator[tuple[str, str]]:
    if isinstance(told, dict):
        for key, value in cast("dict[str, Any]", told).items():
            yield from _leaves(f"{place}.{key}", value)
    elif isinstance(told, list):
        several = cast("Sequence[Any]", told)
        yield f"{place}[] length", str(len(several))
        for value in several:
            yield from _leaves(f"{place}[]", value)
    else:
        yield place or "value", _timeless(str(told))


def _timeless(text: str) -> str:
    return _TIME.sub("(time)", text)
