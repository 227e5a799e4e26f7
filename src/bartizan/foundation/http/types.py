"""What goes out and comes back."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Answer:
    """What another server said. Redirects are answers: they are never followed."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes
    seconds: float
    cut: bool = False
    """Whether the body goes on beyond what was read."""

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self.status < _REFUSED

    def header(self, name: str) -> str | None:
        """Give the first header of this name, in any case."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    def json(self) -> Any:
        """Read the body as JSON; ``ValueError`` when it is not."""
        return json.loads(self.body)


_REFUSED = 400


class Resolver(Protocol):
    """Looks names up; for tests, and for hosts with a DNS of their own."""

    async def resolve(self, host: str) -> Sequence[str]:
        """Give the addresses of ``host``; ``OSError`` when there are none."""
        ...


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as the client library gets it."""

    method: str
    url: str
    headers: Sequence[tuple[str, str]]
    body: bytes | None
    timeout: float
    max_bytes: int
    cut: bool
    """Whether a longer answer is cut instead of refused."""


class Client(Protocol):
    """What is needed of an HTTP library; it is loaded with the first request."""

    async def send(self, sent: Sent) -> Answer:
        """Send one request once; raises this room's errors."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
