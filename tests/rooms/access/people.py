"""What the tests of accounts and sessions share: a sender that writes letters to a file, and short cuts."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bartizan.access.identity import Identity, IdentitySettings, NewUser, User
from bartizan.backbone.events import Envelope, Events
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import Caller, Origin
from bartizan.foundation.database import Database

GOOD = "brass lantern over quiet water"
OTHER = "seven herons left before the rain"


class Letters:
    """Sends letters by appending them to a file, one line of JSON each."""

    def __init__(self, file: Path, *, delivers: bool = False) -> None:
        self._file = file
        self.delivers = delivers

    async def send(self, *, to: str, template: str, data: Mapping[str, Any] | None = None) -> object:
        """Append one letter."""
        with self._file.open("a") as out:
            out.write(json.dumps({"to": to, "template": template, **dict(data or {})}) + "\n")
        return None

    def all(self, template: str | None = None) -> list[dict[str, Any]]:
        """Read the letters, oldest first."""
        if not self._file.exists():
            return []
        letters = [json.loads(line) for line in self._file.read_text().splitlines()]
        return [letter for letter in letters if template in {None, letter["template"]}]

    def token(self, template: str) -> str:
        """Read the token in the newest letter of a kind."""
        found = re.search(r"token=([\w-]+)", self.all(template)[-1]["url"])
        assert found
        return found[1]


class Told:
    """Remembers what was announced."""

    def __init__(self, events: Events) -> None:
        self.envelopes: list[Envelope] = []
        events.within("*", self._hear)

    async def _hear(self, envelope: Envelope) -> None:
        self.envelopes.append(envelope)

    def names(self) -> list[str]:
        """Name what was announced, in order."""
        return [envelope.type for envelope in self.envelopes]

    def last(self, name: str) -> dict[str, Any]:
        """Give the data of the newest fact of a kind."""
        return next(envelope.data for envelope in reversed(self.envelopes) if envelope.type == name)


def new_identity(
    database: Database,
    events: Events,
    letters: Letters,
    clock: Clock,
    *,
    production: bool = False,
    outbound: Any = None,
    **settings: Any,
) -> Identity:
    """Build the room with answers that take no longer than they need."""
    return Identity(
        database,
        events,
        IdentitySettings(**{"even_out": 0.0, **settings}),
        email=letters,
        clock=clock,
        pages="https://app.example/_bartizan",
        production=production,
        outbound=outbound,
    )


async def person(
    identity: Identity, email: str = "ada@example.com", *, password: str = GOOD, **more: Any
) -> User:
    """Open an account whose address is confirmed."""
    options = {name: more.pop(name) for name in ("operator", "verified") if name in more}
    new = NewUser(email=email, password=SecretStr(password), **more)
    return await identity.create(new, **{"verified": True, **options})


def caller(user: User, **more: Any) -> Caller:
    """Make the caller that a signed-in person is."""
    return Caller(
        id=user.id, kind="user", user_id=user.id, operator=user.is_operator, email=user.email, **more
    )


def origin(ip: str = "192.0.2.7", agent: str = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0") -> Origin:
    """Make the origin of a request."""
    return Origin(request_id="req_1", ip=ip, user_agent=agent)
