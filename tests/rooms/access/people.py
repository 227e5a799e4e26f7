"""What the tests of accounts and sessions share: a sender that writes letters to a file, and short cuts."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bartizan.access.identity import IMPERSONATE, Identity, IdentitySettings, NewUser, User
from bartizan.access.orgs import Orgs
from bartizan.access.rbac import Rbac
from bartizan.access.sessions import END, READ, Credentials, Registration, Sessions, SessionsSettings, Tokens
from bartizan.backbone.events import Envelope, Events
from bartizan.foundation.clock import Clock, ManualClock
from bartizan.foundation.context import Caller, Origin, current
from bartizan.foundation.crypto import Keyring, SigningKeys
from bartizan.foundation.database import Database

GOOD = "brass lantern over quiet water"
OTHER = "seven herons left before the rain"


class Letters:
    """Sends letters by appending them to a file, one line of JSON each."""

    def __init__(self, file: Path, *, delivers: bool = False) -> None:
        self._file = file
        self.delivers = delivers

    async def send(
        self, *, to: str, template: str, data: Mapping[str, Any] | None = None, org_id: str | None = None
    ) -> object:
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


@dataclass
class Access:
    """Accounts, roles, organizations and sessions on one database."""

    database: Database
    events: Events
    clock: ManualClock
    letters: Letters
    told: Told
    identity: Identity
    rbac: Rbac
    orgs: Orgs
    signing_keys: SigningKeys
    sessions: Sessions

    def replica(self, **settings: Any) -> Sessions:
        """Build the sessions of another process on the same database."""
        events = Events(self.database, clock=self.clock)
        return Sessions(
            self.database,
            events,
            identity=self.identity,
            rbac=self.rbac,
            orgs=self.orgs,
            keyring=Keyring([SECRET]),
            signing_keys=self.signing_keys,
            settings=SessionsSettings(**settings),
            clock=self.clock,
        )

    async def register(self, name: str = "ada", **more: Any) -> Tokens:
        """Open an account with an organization of its own; give its tokens."""
        fields = {"email": f"{name}@example.com", "username": name, "password": SecretStr(GOOD), **more}
        made = await self.sessions.register(Registration(**fields))
        assert made.tokens
        return made.tokens

    async def sign_in(self, name: str = "ada", password: str = GOOD, agent: str = "curl/8") -> Tokens:
        """Sign in."""
        with current.receiving(origin(agent=agent)):
            return await self.sessions.sign_in(Credentials(login=name, password=SecretStr(password)))

    async def member(self, name: str, org_id: str, role: str = "member") -> Tokens:
        """Open an account that is a member of an organization; give tokens that act for it."""
        user = await person(self.identity, f"{name}@example.com", username=name)
        await self.orgs.members.join(user.id, role, org_id=org_id, source="added")
        return await self.sign_in(name)

    async def operator(self, name: str = "root") -> Tokens:
        """Open an operator's account; give its tokens."""
        await person(self.identity, f"{name}@example.com", username=name, operator=True)
        return await self.sign_in(name)

    async def caller(self, tokens: Tokens) -> Caller:
        """Give the caller that a request with the session's token has."""
        return (await self.sessions.authenticate(tokens.session_token or "")).caller()


SECRET = "a secret for the tests of this floor, long enough"


def access(database: Database, clock: ManualClock, file: Path, **settings: Any) -> Access:
    """Build the floor as far as sessions; settings are of sessions, ``identity`` those of accounts."""
    events = Events(database, clock=clock)
    letters, told = Letters(file), Told(events)
    identity = new_identity(database, events, letters, clock, **settings.pop("identity", {}))
    rbac = Rbac(database, events, clock=clock)
    orgs = Orgs(database, events, rbac=rbac, people=identity, post=letters, clock=clock)
    rbac.declare(IMPERSONATE, READ, END)
    keyring = Keyring([SECRET])
    signing_keys = SigningKeys(database, keyring, clock=clock)
    sessions = Sessions(
        database,
        events,
        identity=identity,
        rbac=rbac,
        orgs=orgs,
        keyring=keyring,
        signing_keys=signing_keys,
        settings=SessionsSettings(**settings),
        clock=clock,
        email=letters,
        pages="https://app.example/_bartizan",
    )
    return Access(database, events, clock, letters, told, identity, rbac, orgs, signing_keys, sessions)
