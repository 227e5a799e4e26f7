"""Who is asking: a cookie, a bearer token or an API key becomes a caller."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from bartizan.access.api_keys import ApiKeys
from bartizan.access.orgs import Orgs
from bartizan.access.sessions import Sessions
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import Caller, current
from bartizan.foundation.errors import Forbidden, Unauthenticated

from .cookies import read_cookie
from .headers import Header, value_of

How = Literal["cookie", "bearer", "key"]
_MOST = 20_000


class CredentialNotAccepted(Unauthenticated):
    """The credential is unknown, has ended, or is not written as it should be."""


class NotTheKeysOrganization(Forbidden):
    """An API key works in its own organization only."""


class StaysInItsOrganization(Forbidden):
    """Whoever acts as somebody else stays in the organization where that began."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What a request brought to say who it is."""

    how: How
    secret: str


class Callers:
    """Turns credentials into callers, and remembers each for a few seconds.

    At most 20,000 callers are remembered; the oldest go first. Anything that changes what somebody may do
    empties the memory of this process at once; other processes notice after ``ttl`` seconds.
    """

    def __init__(
        self, sessions: Sessions, api_keys: ApiKeys, orgs: Orgs, *, clock: Clock, ttl: float, cookie: str
    ) -> None:
        """Ask these rooms; read the session from the cookie of that name."""
        self._sessions = sessions
        self._api_keys = api_keys
        self._orgs = orgs
        self._clock = clock
        self._ttl = ttl
        self._cookie = cookie
        self._known: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()
        self._age = 0
        self._due: set[str] = set()

    def forget(self) -> None:
        """Ask anew about everyone."""
        self._age += 1
        self._known.clear()

    async def fresh_token(self, credential: Credential, caller: Caller) -> str | None:
        """Give a browser's session another token when what its holder may do has changed."""
        if credential.how != "cookie" or caller.session_id not in self._due:
            return None
        self._due.discard(caller.session_id)
        with current.acting_as(caller):
            return await self._sessions.rotate()

    def credential(self, headers: Iterable[Header]) -> Credential | None:
        """Find the credential of a request: a key, else a bearer token, else the cookie.

        One that is presented counts: a bad key is refused even when a good cookie comes with it.
        """
        headers = tuple(headers)
        if (key := value_of(headers, b"x-api-key")) is not None:
            return Credential("key", key.strip())
        authorization = value_of(headers, b"authorization")
        if authorization is not None:
            scheme, _, token = authorization.partition(" ")
            if scheme.lower() == "bearer":
                token = token.strip()
                return Credential("key" if self._api_keys.is_key(token) else "bearer", token)
        if cookie := read_cookie(headers, self._cookie):
            return Credential("cookie", cookie)
        return None

    async def caller(self, credential: Credential, headers: Iterable[Header]) -> Caller:
        """Find out who presents ``credential``, for the organization and team the headers ask for."""
        headers = tuple(headers)
        org_id = value_of(headers, b"x-org-id") or value_of(headers, b"x-tenant-id")
        team_id = value_of(headers, b"x-team-id")
        asked = f"{credential.how}\0{credential.secret}\0{org_id or ''}\0{team_id or ''}"
        digest = hashlib.sha256(asked.encode("utf-8", "surrogateescape")).digest()
        now = self._clock.monotonic()
        if known := self._known.get(digest):
            until, remembered = known
            if now < until:
                return remembered
            del self._known[digest]
        age = self._age
        caller = await self._ask(credential, org_id, team_id)
        if age == self._age and self._ttl:
            self._known[digest] = (now + self._ttl, caller)
            if len(self._known) > _MOST:
                self._known.popitem(last=False)
        return caller

    async def _ask(self, credential: Credential, org_id: str | None, team_id: str | None) -> Caller:
        if credential.how == "key":
            caller = (await self._api_keys.authenticate(credential.secret)).caller()
            if (org_id and org_id != caller.org_id) or (team_id and team_id != caller.team_id):
                raise NotTheKeysOrganization
            return caller
        principal = await self._sessions.authenticate(credential.secret)
        caller = principal.caller()
        if principal.rotate and credential.how == "cookie" and len(self._due) < _MOST:
            self._due.add(principal.session_id)
        if (org_id in {None, "", caller.org_id}) and (team_id in {None, "", caller.team_id}):
            return caller
        if caller.actor_id is not None or caller.user_id is None:
            raise StaysInItsOrganization
        member = await self._orgs.resolve(caller.user_id, claim=caller.org_id, org=org_id, team=team_id)
        if member is None:
            return caller
        return replace(
            caller,
            org_id=member.org_id,
            team_id=member.team_id,
            roles=frozenset(member.roles),
            permissions=frozenset(member.permissions),
        )
