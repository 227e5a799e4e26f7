"""Which limits hold for a route."""

from collections.abc import Iterator, Mapping
from posixpath import normpath

from bartizan.backbone.limits.settings import read_route
from bartizan.foundation.settings import Rate


class Routes:
    """Rates by route: the exact one counts, else the longest that ends in a star.

    Paths are compared as most apps route them: a slash at the end, doubled slashes and dot segments make no
    difference, and HEAD counts as GET, so that a limit is not dodged by writing a path in another way.
    """

    __slots__ = ("_exact", "_longest_first")

    def __init__(self, rates: Mapping[str, Rate]) -> None:
        self._exact: dict[tuple[str, str], tuple[str, Rate]] = {}
        below: list[tuple[str, str, str, Rate]] = []
        for route, rate in rates.items():
            method, path = read_route(route)
            if path.endswith("*"):
                below.append((method, path[:-1], route, rate))
            else:
                self._exact[method, plain(path)] = (route, rate)
        # A method that is named goes before any method.
        below.sort(key=lambda one: (len(one[1]), one[0] != "*"), reverse=True)
        self._longest_first = tuple(below)

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self._exact or self._longest_first)

    def find(self, method: str, path: str) -> tuple[str, Rate] | None:
        """Give the route that covers a request, as it was written, and its rate."""
        if method == "HEAD":
            method = "GET"
        path = plain(path)
        return (
            self._exact.get((method, path))
            or self._exact.get(("*", path))
            or next(self._covering(method, path), None)
        )

    def _covering(self, method: str, path: str) -> Iterator[tuple[str, Rate]]:
        for verb, start, route, rate in self._longest_first:
            if verb in (method, "*") and (path.startswith(start) or path == start[:-1]):
                yield route, rate


def plain(path: str) -> str:
    """Write a path in one way."""
    if "//" in path or "/." in path:
        path = normpath("/" + path.lstrip("/"))
    return path.rstrip("/") or "/"
