"""What a route of the app needs: nothing, a look, or a hand."""

import re
from collections.abc import Sequence
from typing import Literal

_AGAIN = re.compile(r"%(?:2e|2f|5c|25|3b|[01]|7f)", re.IGNORECASE)
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
Need = Literal["nothing", "app:read", "app:write"]


class Policy:
    """Default deny: every path needs a caller, and every method but the safe ones may change things.

    Paths are matched as the server decoded them, because that is what the app routes by. A path with a dot
    segment (also one with a parameter, as servlets have), a backslash, a doubled slash or a control
    character, or with one of these encoded twice, is never public: an app may read it otherwise than we do.
    """

    def __init__(self, public: Sequence[str] = (), reads: Sequence[str] = ()) -> None:
        """Take the settings' lists; ``ValueError`` names an entry that is no pattern."""
        self._public = tuple(_pattern(text) for text in public)
        self._reads = tuple(_route(text) for text in reads)

    def need(self, method: str, path: str) -> Need:
        """Tell what a request needs."""
        plain = _plain(path)
        if plain and any(_matches(pattern, path) for pattern in self._public):
            return "nothing"
        if method in SAFE:
            return "app:read"
        if plain and any(method == verb and _matches(pattern, path) for verb, pattern in self._reads):
            return "app:read"
        return "app:write"


def _pattern(text: str) -> str:
    if not text.startswith("/") or "*" in text[:-1]:
        message = f"{text!r} is not a path: it must begin with a slash, and may end in *"
        raise ValueError(message)
    return text


def _route(text: str) -> tuple[str, str]:
    method, _, path = text.partition(" ")
    if not method.isalpha() or not method.isupper():
        message = f"{text!r} is not a route: write it as 'POST /path'"
        raise ValueError(message)
    return method, _pattern(path.strip())


def _matches(pattern: str, path: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern


def _plain(path: str) -> bool:
    if "\\" in path or "//" in path or any(ord(letter) < 32 or ord(letter) == 127 for letter in path):  # noqa: PLR2004
        return False
    if "%" in path and _AGAIN.search(path):
        return False
    return not any(segment.partition(";")[0] in {".", ".."} for segment in path.split("/"))
