"""The steps before the app, in their order: sizes, who, from which page, and may they."""

import re
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from bartizan.doors.http.bodies import TooLarge
from bartizan.doors.http.problems import refusal
from bartizan.foundation import ids
from bartizan.foundation.context import NobodyAsks, Origin, PermissionMissing, current
from bartizan.foundation.errors import Unauthenticated, Unavailable
from bartizan.house import Bartizan

from .callers import NOBODY, Callers, Known, fields_of
from .lifespan import Lifespan
from .policy import NOBODY as CLOSED
from .policy import NOTHING, SAFE, Policy
from .request import (
    CrossSite,
    Header,
    Proxies,
    clear_cookie,
    comes_from_us,
    csrf_cookie,
    session_cookie,
    set_cookie,
    value_of,
)
from .visit import Visit

if TYPE_CHECKING:
    from bartizan.backbone.limits import Verdict

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{8,64}")
_MOST_NEEDS = 10_000
_MOST_STRANGERS = 10_000
LOOK = 1.0
"""Seconds between looks at what changes seldom."""


class HeadersTooLarge(Exception):
    """All headers together are larger than the setting allows."""


class Admission:
    """Finds out who asks and refuses who may not; a caller of the last seconds is let in without I/O."""

    def __init__(self, house: Bartizan, lifespan: Lifespan, policy: Policy) -> None:
        """Work for ``house``, which ``lifespan`` starts where the server does not."""
        settings = house.settings.guard
        self._house = house
        self._lifespan = lifespan
        self._clock = house.clock
        self._mount = house.settings.mount.rstrip("/")
        self._below = self._mount + "/"
        self._settings = settings
        self._proxies = Proxies(settings.trusted_proxies)
        self._policy = policy
        self._needs: dict[tuple[str, str], str] = {}
        self._most_header_bytes = settings.max_header_bytes
        self._secure = house.settings.secure_cookies
        self._cookie = session_cookie(secure=self._secure)
        self._callers = Callers(
            house.sessions,
            house.api_keys,
            house.orgs,
            clock=house.clock,
            ttl=settings.caller_ttl,
            cookie=self._cookie,
            ours=[csrf_cookie(secure=self._secure)],
            limits=house.limits,
            ip_allowlist=house.ip_allowlist,
        )
        self._ip_allowlist = house.ip_allowlist
        self._limits = house.limits
        self._quotas = house.usage.quotas
        self._strangers: dict[str | None, tuple[float, Verdict]] = {}
        self._closed: Unavailable | None = None
        self._look_at = 0.0
        self._ids = ids.Stream("req")
        house.on_access_changed(self._forget)

    async def _admit(self, visit: Visit) -> bool:
        """Take the steps before the app: sizes, who, from which page, and may they."""
        self._measure(visit)
        if not self._house.started:
            await self._lifespan.ensure_started()
        now = self._clock.monotonic()
        if not await self._identify(visit, now):
            return False
        await self._count(visit)
        if self._callers.due and (token := await self._callers.fresh_token(visit.known)):
            visit.cookies = [set_cookie(self._cookie, token, secure=self._secure)]
        if visit.method not in SAFE and visit.known.how == "cookie":
            self._check_site(visit)
        if visit.ours:
            return True
        if now >= self._look_at:
            await self._look(now)
        if self._closed is not None:
            self._check_open(visit)
        need = self._need(visit)
        if need == NOTHING:
            visit.public = True
            return True
        return need in visit.known.permissions or await self._refuse(visit, need)

    async def _identify(self, visit: Visit, now: float) -> bool:
        """Find out who asks, and from where; false when a stranger has been answered."""
        if (refused := self._ip_allowlist.refuses_address(visit.origin.ip)) is not None and not (
            visit.ours and visit.path.startswith(self._below + "health")  # probes come from anywhere
        ):
            raise refused
        known = self._callers.remembered(visit.credentials, now)
        if known is not None:
            visit.known = known
        elif not await self._meet(visit, now):
            return False
        if visit.known.tied:
            self._check_address(visit)
        return True

    def _check_address(self, visit: Visit) -> None:
        """Refuse an address that the caller's organization or role does not have on its list."""
        known, ip = visit.known, visit.origin.ip
        caller = known.caller
        if caller is None or known.how is None:
            return
        path = visit.path.removeprefix(self._mount)
        if self._ip_allowlist.lets_out(ip, caller, known.how, method=visit.method, path=path):
            return
        if (refused := self._ip_allowlist.refuses(ip, caller, known.how)) is not None:
            raise refused

    async def _count(self, visit: Visit) -> None:
        """Refuse what is too often, or more than the plan allows."""
        known, limits = visit.known, self._limits
        caller = known.caller
        buckets = known.buckets if caller is not None else limits.address_bucket(visit.origin.ip)
        if limits.by_route:
            buckets += limits.route_buckets(visit.method, visit.path, caller, visit.origin.ip)
        if buckets:
            verdict = await limits.take_shared(buckets) if limits.shared else limits.take(buckets)
            visit.verdict = verdict
            if verdict.refused is not None:
                raise limits.refusal(verdict)
        if caller is not None:
            org_id = caller.org_id
            visit.extra = self._quotas.headers(org_id)
            if (used_up := self._quotas.refusal(org_id)) is not None and not (visit.ours or caller.operator):
                raise used_up

    async def _stranger(self, visit: Visit, now: float) -> None:
        """Count a credential that was not good against its address; too many are refused before any work."""
        buckets = self._limits.address_bucket(visit.origin.ip)
        if not buckets:
            return
        verdict = await self._limits.take_shared(buckets)
        if verdict.refused is not None:
            if len(self._strangers) >= _MOST_STRANGERS:
                self._strangers.clear()
            self._strangers[visit.origin.ip] = (now + verdict.retry_after, verdict)
            visit.verdict = verdict
            raise self._limits.refusal(verdict)

    async def _meet(self, visit: Visit, now: float) -> bool:
        """Learn who brings the credentials; a stranger to a closed door has been answered afterwards."""
        if self._strangers and (known := self._strangers.get(visit.origin.ip)) and now < known[0]:
            visit.verdict = known[1]
            raise self._limits.refusal(known[1])
        stand_in = self._house.stand_in
        try:
            visit.known = await self._callers.learn(visit.credentials, visit.headers)
        except Unauthenticated as error:
            await self._stranger(visit, now)
            credential = self._callers.credential(visit.headers)
            if credential is None or credential.how != "cookie":
                raise
            visit.known = NOBODY  # a page shows the way in: a cookie that has ended is like none
            if stand_in is None and not visit.ours and self._need(visit) != NOTHING:
                await self._turn_away(visit, error, stale=True)
                return False
        if visit.known.caller is None and stand_in is not None:
            visit.known = Known(stand_in)
        return True

    def _need(self, visit: Visit) -> str:
        """Tell what permission a request needs."""
        key = (visit.method, visit.path)
        need = self._needs.get(key)
        if need is None:
            need = self._policy.need(visit.method, self._inside(visit))
            if len(self._needs) >= _MOST_NEEDS:  # paths are without end: begin anew
                self._needs.clear()
            self._needs[key] = need
        if visit.method == "OPTIONS" and b"access-control-request-method" in visit.fields:
            return NOTHING
        return need

    @staticmethod
    def _inside(visit: Visit) -> str:
        """Give the path by which the app routes: without what is mounted in front of it."""
        root: str = visit.scope.get("root_path", "")
        return visit.path.removeprefix(root) or "/" if root else visit.path

    def _learn(self) -> None:
        """Look at the routes of the app, now that it has started."""
        self._policy.learn()
        self._needs.clear()

    async def _refuse(self, visit: Visit, need: str) -> bool:
        """Refuse a request for which its caller lacks the permission."""
        if visit.caller is None:
            await self._turn_away(visit, NobodyAsks())
            return False
        if visit.method not in SAFE:
            with current.acting_as(visit.caller):
                await self._house.audit.request(HTTPStatus.FORBIDDEN)
        message = "This is closed." if need == CLOSED else f"This needs {need}."
        raise PermissionMissing(message, permission=need)

    async def _look(self, now: float) -> None:
        """Look whether the app is closed for maintenance, once a second."""
        self._look_at = now + LOOK
        self._closed = await self._house.closed()

    def _forget(self) -> None:
        """Ask anew about everyone, and about the house."""
        self._look_at = 0.0
        self._callers.forget()

    async def _turn_away(self, visit: Visit, error: Unauthenticated, *, stale: bool = False) -> None:
        """Refuse somebody unknown: a page of a browser goes to sign-in and comes back, a program gets 401."""
        answer: Response
        if visit.navigates:
            target = visit.scope.get("root_path", "") + visit.path
            if query := visit.scope.get("query_string"):
                target += "?" + query.decode("latin-1")
            answer = RedirectResponse(f"{self._mount}/sign-in?next={quote(target, safe='')}", 303)
            answer.headers["cache-control"] = "no-store"
        else:
            answer = refusal(error)
        if stale:
            answer.raw_headers.append(clear_cookie(self._cookie, secure=self._secure))
        await self._say(visit, answer)

    async def _say(self, visit: Visit, answer: Response) -> None:
        """Answer from the gate itself; pages of the origins that were named may read it."""
        origin = value_of(visit.headers, b"origin")
        if origin is not None and origin in self._settings.cors_origins:
            answer.headers["access-control-allow-origin"] = origin
            answer.headers["access-control-allow-credentials"] = "true"
            answer.headers["vary"] = "Origin"
        await answer(visit.scope, visit.receive, visit.send)

    def _visit(self, scope: Scope, receive: Receive, send: Send, now: float) -> Visit:
        headers: list[Header] = scope["headers"]
        fields, credentials = fields_of(headers)
        client = scope.get("client")
        peer = client[0] if client else None
        told, ip = None, self._proxies.near(peer)
        if ip is None:
            scope["scheme"] = self._proxies.scheme(peer, headers, scope.get("scheme", "http"))
            ip = self._proxies.client(peer, headers)
            told = self._told_id(peer, fields)
        agent = fields.get(b"user-agent")
        path: str = scope["path"]
        origin = Origin(
            request_id=told or self._ids.new(now),
            ip=ip,
            user_agent=agent[:400].decode("latin-1") if agent else None,
            method=scope.get("method"),
            path=path,
        )
        visit = Visit(scope, receive, send, origin=origin, fields=fields, started=now)
        visit.credentials = credentials
        visit.ours = path.startswith(self._below) or path == self._mount or not self._mount
        return visit

    def _told_id(self, peer: str | None, fields: dict[bytes, bytes]) -> str | None:
        told = fields.get(b"x-request-id", b"")
        return told.decode() if self._proxies.trust(peer) and _REQUEST_ID.fullmatch(told) else None

    def _limit(self, visit: Visit) -> int:
        return self._settings.max_api_body if visit.ours else self._settings.max_body

    def _measure(self, visit: Visit) -> None:
        """Refuse headers and announced bodies that are too large."""
        if self._oversized(visit):
            raise HeadersTooLarge
        length = visit.fields.get(b"content-length")
        if length is not None and (not length.isdigit() or int(length) > self._limit(visit)):
            raise TooLarge

    def _check_open(self, visit: Visit) -> None:
        """Let only operators in during maintenance."""
        if self._closed is not None and not (visit.caller is not None and visit.caller.operator):
            raise self._closed

    def _oversized(self, visit: Visit) -> bool:
        fields, headers = visit.fields, visit.headers
        if len(fields) == len(headers):
            return len(b"".join(fields)) + len(b"".join(fields.values())) > self._most_header_bytes
        return sum(len(name) + len(value) for name, value in headers) > self._most_header_bytes

    def _check_site(self, visit: Visit) -> None:
        """Refuse what another site's page sends with a cookie; programs and looks are not meant."""
        if visit.ours and not visit.path.startswith(f"{self._mount}/api/"):
            return  # our own pages have form tokens of their own
        if not self._from_us(visit):
            raise CrossSite

    def _from_us(self, visit: Visit) -> bool:
        if comes_from_us(visit.scope["scheme"], visit.headers):
            return True
        token = value_of(visit.headers, b"x-csrf-token")
        session_id = visit.caller.session_id if visit.caller else None
        return bool(token and session_id and self._house.sessions.check_csrf(session_id, token))
