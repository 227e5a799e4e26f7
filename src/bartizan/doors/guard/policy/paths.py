"""Paths: which are written plainly, what an odd one may be read as, and which pattern one meets."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import unquote

T = TypeVar("T")

PARAMETER, REST = "{}", "*"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")
_DECODINGS = 3


def is_plain(path: str) -> bool:
    """Tell whether every app reads a path as we do.

    None with a dot segment, a doubled slash, a backslash, a control character, or an escape that is left
    after the server's decoding.
    """
    if not path.startswith("/") or "//" in path or "\\" in path:
        return False
    if _CONTROL.search(path) or _ESCAPED.search(path):
        return False
    return "/." not in path or not any(
        segment.partition(";")[0] in {".", ".."}
        for segment in path.split("/")  # servlets take parameters off
    )


def tidied(path: str) -> str:
    """Give the plainest reading that an app may make of a path, in one case and without a slash at its end.

    It only ever serves to refuse: a path that is not written as its rule is never gets more than the
    default.
    """
    if not path.isascii():
        path = unicodedata.normalize("NFKC", path)
    for _ in range(_DECODINGS):
        if "%" not in path:
            break
        path = unquote(path)
    kept: list[str] = []
    for segment in _CONTROL.sub("", path).replace("\\", "/").casefold().split("/"):
        name = segment.partition(";")[0].strip()
        if name == "..":
            del kept[-1:]
        elif name not in {"", "."}:
            kept.append(name)
    return "/" + "/".join(kept)


def segments(pattern: str) -> list[str]:
    """Cut a pattern into literals, parameters and, at its end, the rest of a path."""
    cut: list[str] = []
    for part in pattern.split("/")[1:]:
        if part == REST or (":path" in part and "{" in part):
            return [*cut, REST]
        cut.append(PARAMETER if "{" in part else part)
    return cut


@dataclass(slots=True)
class _Entry(Generic[T]):
    order: int
    methods: frozenset[str] | None
    exactly: re.Pattern[str] | None
    what: T


@dataclass(slots=True)
class _Node(Generic[T]):
    literals: "dict[str, _Node[T]]" = field(default_factory=dict[str, "_Node[T]"])
    parameter: "_Node[T] | None" = None
    here: list[_Entry[T]] = field(default_factory=list[_Entry[T]])
    rest: list[_Entry[T]] = field(default_factory=list[_Entry[T]])


class Patterns(Generic[T]):
    """Patterns by segment; of those that a path meets, the one that was added first counts.

    A look-up costs what the path is long, however many patterns there are.
    """

    def __init__(self) -> None:
        """Know no pattern yet."""
        self._root: _Node[T] = _Node()
        self._size = 0

    def __len__(self) -> int:
        """Count the patterns."""
        return self._size

    def add(
        self,
        cut: Sequence[str],
        methods: frozenset[str] | None,
        what: T,
        *,
        exactly: re.Pattern[str] | None = None,
    ) -> None:
        """Add a pattern for these methods, or for all; ``exactly`` has the last word on a path."""
        node = self._root
        entry = _Entry(self._size, methods, exactly, what)
        self._size += 1
        for part in cut:
            if part == REST:
                node.rest.append(entry)
                return
            if part == PARAMETER:
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(part, _Node())
        node.here.append(entry)

    def find(self, method: str, path: str) -> T | None:
        """Give what was added first of all that this request meets."""
        best: _Entry[T] | None = None
        # Starlette's patterns overlook a line break at the end of a path.
        for entry in (*self._met(path), *(self._met(path[:-1]) if path.endswith("\n") else ())):
            if best is not None and entry.order > best.order:
                continue
            if entry.methods is not None and method not in entry.methods:
                continue
            if entry.exactly is None or entry.exactly.match(path):
                best = entry
        return None if best is None else best.what

    def _met(self, path: str) -> Iterator[_Entry[T]]:
        return _met(self._root, path.split("/"), 1)


def _met(node: _Node[T], parts: Sequence[str], at: int) -> Iterator[_Entry[T]]:
    if at == len(parts):
        yield from node.here
        return
    yield from node.rest
    part = parts[at]
    if (literal := node.literals.get(part)) is not None:
        yield from _met(literal, parts, at + 1)
    if part and node.parameter is not None:
        yield from _met(node.parameter, parts, at + 1)
