"""What the matrix found, and what it could not try."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """One request, so that it can be made again."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    json: Any = None
    data: Mapping[str, Any] | None = None
    files: Mapping[str, tuple[str, bytes, str]] | None = None

    def curl(self, token: str) -> str:
        """Write it as a line for a shell; the credential is left to a variable."""
        words = ["curl", "-i", "-X", self.method, shlex.quote(self.url)]
        words += ["-H", f'"Authorization: Bearer ${token}"']
        for name, value in self.headers.items():
            words += ["-H", shlex.quote(f"{name}: {value}")]
        if self.json is not None:
            words += ["-H", "'Content-Type: application/json'", "-d", shlex.quote(json.dumps(self.json))]
        for name, value in (self.data or {}).items():
            words += ["-F" if self.files else "-d", shlex.quote(f"{name}={value}")]
        for name in self.files or ():
            words += ["-F", shlex.quote(f"{name}=@file")]
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Leak:
    """One crossing: a tenant saw or changed what is another's."""

    route: str
    """Verb and path: ``GET /api/notes/{note_id}``."""
    how: str
    """What was done, such as ``the path named Acme's note_id``."""
    what: str
    """What leaked."""
    curl: str
    """A line that does it again."""

    def __str__(self) -> str:
        """Write it for people."""
        return f"{self.route}\n    how:  {self.how}\n    what: {self.what}\n    {self.curl}"


@dataclass(frozen=True, slots=True)
class Unexercised:
    """A route, or a way through it, that could not be tried."""

    route: str
    why: str

    def __str__(self) -> str:
        """Write it for people."""
        return f"{self.route}: {self.why}"


@dataclass(slots=True)
class Report:
    """Every crossing, every route that was tried, and every one that was not."""

    leaks: list[Leak] = field(default_factory=list[Leak])
    exercised: list[str] = field(default_factory=list[str])
    """Routes where a tenant's own request worked and another's was judged."""
    unexercised: list[Unexercised] = field(default_factory=list[Unexercised])
    requests: int = 0

    def add(self, leak: Leak) -> None:
        """Note a leak, once for each route and way."""
        if all((leak.route, leak.how) != (known.route, known.how) for known in self.leaks):
            self.leaks.append(leak)

    def tried(self, route: str) -> None:
        """Note that a route was tried."""
        if route not in self.exercised:
            self.exercised.append(route)

    def skip(self, route: str, why: str) -> None:
        """Note that a route could not be tried."""
        if all(known.route != route for known in self.unexercised):
            self.unexercised.append(Unexercised(route, why))

    def of(self, route: str) -> list[Leak]:
        """Give the leaks of one route."""
        return [leak for leak in self.leaks if leak.route == route]

    def assert_none(self, *, complete: bool = False) -> None:
        """Fail if there is a leak or nothing could be tried; with ``complete``, if anything was left out."""
        if self.leaks or not self.exercised or (complete and self.unexercised):
            raise AssertionError(str(self))

    def __str__(self) -> str:
        """Write the whole report for people."""
        tried = f"{len(self.exercised)} routes exercised by {self.requests} requests"
        lines = [f"{len(self.leaks)} leaks between tenants; {tried}, {len(self.unexercised)} not."]
        if not self.exercised:
            lines.append("NOTHING was exercised, so nothing is proved.")
        lines += [f"\nLEAK {number}. {leak}" for number, leak in enumerate(self.leaks, 1)]
        if self.unexercised:
            lines.append("\nNot exercised, so nothing is known of them:")
            lines += [f"  {one}" for one in self.unexercised]
        return "\n".join(lines)
