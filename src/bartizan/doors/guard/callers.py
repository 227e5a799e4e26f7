"""Who is asking: a cookie, a bearer token or an API key becomes a caller."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from bartizan.access.api_keys import ApiKeys
from bartizan.access.orgs import Orgs
from bartizan.access.sessions import Sessions
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import Caller, current
from bartizan.foundation.errors import Forbidden, Unauthenticated

from .request import Header, read_cookie, value_of, without_cookies

How = Literal["cookie", "bearer", "key"]
Credentials = tuple[bytes | None, bytes | None, bytes | None, bytes | None, bytes | None, bytes | None]
"""What a request says of who it is and for whom: cookies, authorization, key, organization (twice), team."""
_MOST = 20_000
_COOKIE = frozenset({b"cookie"})
_HIDDEN = {"cookie": _COOKIE, "bearer": _COOKIE | {b"authorization"}}
_ALL = _COOKIE | {b"authorization", b"x-api-key"}


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


class Known:
    """A caller, and what the gate has worked out about them once for the next seconds."""

    __slots__ = ("caller", "cookies", "hidden", "how", "permissions", "until")

    def __init__(
        self,
        caller: Caller | None,
        how: How | None = None,
        *,
        cookies: tuple[Header, ...] = (),
    ) -> None:
        """Know ``caller``, who came by ``how``; ``cookies`` of the request are the app's own."""
        self.caller = caller
        self.how = how
        self.permissions = caller.permissions if caller else frozenset[str]()
        self.cookies = cookies
        self.hidden = _ALL if how == "key" else _HIDDEN.get(how or "", _COOKIE)
        """Headers that carry the credential: the app never sees them."""
        self.until = 0.0


NOBODY = Known(None)
NO_CREDENTIALS: Credentials = (None, None, None, None, None, None)


class Callers:
    """Turns credentials into callers, and remembers each for a few seconds.

    At most 20,000 callers are remembered; the oldest go first. Anything that changes what somebody may do
    empties the memory of this process at once; other processes notice after ``ttl`` seconds.
    """

    def __init__(
        self,
        sessions: Sessions,
        api_keys: ApiKeys,
        orgs: Orgs,
        *,
        clock: Clock,
        ttl: float,
        cookie: str,
        ours: Iterable[str] = (),
    ) -> None:
        """Ask these rooms; the session is in ``cookie``, and the app sees neither that nor ``ours``."""
        self._sessions = sessions
        self._api_keys = api_keys
        self._orgs = orgs
        self._clock = clock
        self._ttl = ttl
        self._cookie = cookie
        self._ours = frozenset({cookie, *ours})
        self._known: dict[Credentials, Known] = {}
        self.due: set[str] = set()
        """Sessions of browsers that shall get another token with their next answer."""
        self._age = 0

    def forget(self) -> None:
        """Ask anew about everyone."""
        self._age += 1
        self._known.clear()

    def remembered(self, credentials: Credentials, now: float) -> Known | None:
        """Give who brought the same a moment ago, by the clock's monotonic ``now``; no I/O."""
        known = self._known.get(credentials)
        return known if known is not None and now < known.until else None

    async def learn(self, credentials: Credentials, headers: list[Header]) -> Known:
        """Find out who brings ``credentials``; :data:`NOBODY` for what says nothing of it.

        Raises ``Unauthenticated`` for a credential that is not good, and ``Forbidden`` for an organization
        or a team that it does not reach. What failed is not remembered.
        """
        credential = self.credential(headers)
        if credential is None:
            if credentials == NO_CREDENTIALS:
                return NOBODY
            cookies = self._others(headers)
            return Known(None, cookies=cookies)
        age = self._age
        caller = await self.caller(credential, headers)
        known = Known(caller, credential.how, cookies=self._others(headers))
        if age == self._age and self._ttl:
            known.until = self._clock.monotonic() + self._ttl
            self._known.pop(credentials, None)
            if len(self._known) >= _MOST:
                del self._known[next(iter(self._known))]
            self._known[credentials] = known
        return known

    async def fresh_token(self, known: Known) -> str | None:
        """Give a browser's session another token when what its holder may do has changed."""
        caller = known.caller
        if known.how != "cookie" or caller is None or caller.session_id not in self.due:
            return None
        self.due.discard(caller.session_id)
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
        if credential.how == "key":
            caller = (await self._api_keys.authenticate(credential.secret)).caller()
            if (org_id and org_id != caller.org_id) or (team_id and team_id != caller.team_id):
                raise NotTheKeysOrganization
            return caller
        principal = await self._sessions.authenticate(credential.secret)
        caller = principal.caller()
        if principal.rotate and credential.how == "cookie" and len(self.due) < _MOST:
            self.due.add(principal.session_id)
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

    def _others(self, headers: Iterable[Header]) -> tuple[Header, ...]:
        """Give the cookies that are the app's own."""
        found = [header for header in headers if header[0] == b"cookie"]
        return tuple(without_cookies(found, self._ours))


def fields_of(headers: list[Header]) -> tuple[dict[bytes, bytes], Credentials]:
    """Give the first value of each header, and what says who asks.

    Of headers that came more than once every value counts there: what was learnt of one request must never
    be remembered for another that brought something else.
    """
    fields = every = dict(headers)
    if len(fields) != len(headers):
        every = {}
        for name, value in headers:
            every[name] = every[name] + b"\n" + value if name in every else value
        fields.update(reversed(headers))
    get = every.get
    return fields, (
        get(b"cookie"),
        get(b"authorization"),
        get(b"x-api-key"),
        get(b"x-org-id"),
        get(b"x-tenant-id"),
        get(b"x-team-id"),
    )
