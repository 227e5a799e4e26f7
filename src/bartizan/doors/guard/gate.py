"""The gate in front of every request: pure ASGI, one small step after the other."""

import asyncio
import re
import time
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from bartizan.doors.http.bodies import Limited, TooLarge, too_large
from bartizan.doors.http.problems import document, fault, refusal, response
from bartizan.foundation import ids
from bartizan.foundation.context import Caller, NobodyAsks, Origin, PermissionMissing, current
from bartizan.foundation.errors import BartizanError, Unauthenticated, Unavailable
from bartizan.foundation.telemetry import Tracing, logger
from bartizan.house import Bartizan

from .address import Proxies
from .callers import Callers
from .cookies import clear_cookie, csrf_cookie, session_cookie, set_cookie, without_cookies
from .forgery import CrossSite, comes_from_us
from .headers import Header, honest, value_of
from .lifespan import Lifespan
from .policy import SAFE, Policy
from .recorded import Recorded
from .sockets import guarded, refuse
from .visit import Visit

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{8,64}")
_SERVER_ERROR = 500


class Guard:
    """Learns who is asking, refuses who may not, and records what was changed.

    An instance, not a function: servers take functions for factories. ``platform`` answers below the mount
    path, ``app`` everywhere else.
    """

    def __init__(
        self, app: ASGIApp, platform: ASGIApp, house: Bartizan, *, warm: Callable[[], None] | None = None
    ) -> None:
        """Stand in front of ``app``; ``warm`` is called in a thread while the server starts."""
        settings = house.settings.guard
        self._app = app
        self._platform = platform
        self._house = house
        self._mount = house.settings.mount.rstrip("/")
        self._settings = settings
        self._proxies = Proxies(settings.trusted_proxies)
        self._policy = Policy(settings.public_paths, settings.read_routes)
        self._secure = house.settings.secure_cookies
        self._cookie = session_cookie(secure=self._secure)
        self._cookies = frozenset({self._cookie, csrf_cookie(secure=self._secure)})
        self._callers = Callers(
            house.sessions,
            house.api_keys,
            house.orgs,
            clock=house.clock,
            ttl=settings.caller_ttl,
            cookie=self._cookie,
        )
        house.on_access_changed(self._callers.forget)
        self._lifespan = Lifespan(app, house, warm)
        self._tracing = Tracing()
        self._log = logger(__name__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "websocket":
                await self._websocket(scope, receive, send)
            case "lifespan":
                await self._lifespan(scope, receive, send)
            case other:
                message = f"The gate does not know connections of type {other!r}."
                raise RuntimeError(message)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        visit = self._visit(scope, receive, send)
        traced = self._tracing.request(
            method=visit.method, path=visit.path, scheme=scope["scheme"], headers=visit.headers
        )
        with current.receiving(visit.origin), traced as span:
            try:
                await self._answer(visit)
            finally:
                status = visit.status or _SERVER_ERROR
                seconds = time.perf_counter() - started
                route = visit.route
                self._house.metrics.request(method=visit.method, route=route, status=status, seconds=seconds)
                caller = visit.caller
                span.route(route)
                span.caller(
                    request_id=visit.origin.request_id,
                    caller=caller.id if caller else None,
                    org_id=caller.org_id if caller else None,
                )
                span.answered(status)

    async def _answer(self, visit: Visit) -> None:
        """Let a request through or refuse it; what our own rooms raise becomes a problem document."""
        try:
            if await self._admit(visit):
                with current.acting_as(visit.caller):
                    await self._serve(visit)
        except TooLarge:
            if not visit.status:
                await self._say(visit, response(too_large(self._limit(visit))))
        except BartizanError as error:
            if visit.status:
                raise
            if isinstance(error, Unavailable):
                self._log.warning("request unavailable", code=error.code, error=str(error))
            await self._say(visit, refusal(error))
        except Exception:
            if not visit.ours:
                raise  # the host's own error handling has spoken, and its server shall know
            self._log.exception("request failed", path=visit.path)
            if not visit.status:
                await self._say(visit, fault())

    async def _admit(self, visit: Visit) -> bool:
        """Take the steps before the app: limits, who, from which page, and may they."""
        if self._oversized(visit.headers):
            title = "The request headers are too large."
            await self._say(visit, response(document(status=431, code="headers-too-large", title=title)))
            return False
        length = value_of(visit.headers, b"content-length")
        if length is not None and (not length.isdigit() or int(length) > self._limit(visit)):
            raise TooLarge
        await self._lifespan.ensure_started()
        public = visit.ours or self._is_public(visit)
        visit.caller = self._house.stand_in
        visit.credential = self._callers.credential(visit.headers)
        if visit.credential is not None:
            try:
                visit.caller = await self._callers.caller(visit.credential, visit.headers)
                if token := await self._callers.fresh_token(visit.credential, visit.caller):
                    visit.cookies.append(set_cookie(self._cookie, token, secure=self._secure))
            except Unauthenticated as error:
                if visit.credential.how != "cookie":
                    raise
                if not public and visit.caller is None:
                    await self._turn_away(visit, error, stale=True)
                    return False
        if not visit.ours or visit.path.startswith(f"{self._mount}/api/"):
            self._check_site(visit)  # our own pages have form tokens of their own
        by_operator = visit.caller is not None and visit.caller.operator
        if not visit.ours and not by_operator and (closed := await self._house.closed()):
            raise closed
        return public or await self._may(visit)

    async def _may(self, visit: Visit) -> bool:
        need = self._policy.need(visit.method, visit.path)
        if visit.caller is None:
            await self._turn_away(visit, NobodyAsks())
            return False
        if need not in visit.caller.permissions:
            if visit.method not in SAFE:
                with current.acting_as(visit.caller):
                    await self._house.audit.request(HTTPStatus.FORBIDDEN)
            message = f"This needs {need}."
            raise PermissionMissing(message, permission=need)
        return True

    async def _serve(self, visit: Visit) -> None:
        """Run what is behind the gate; a change is on the record before its answer leaves."""
        visit.inner = self._inner(visit)
        receive = Limited(visit.receive, self._limit(visit))
        record = None if visit.method in SAFE else partial(self._record, visit=visit)
        answer = Recorded(visit.send, receive, record)
        try:
            await self._run(visit, receive, answer)
        except BaseException:
            if not receive.exceeded:
                await answer.broke(_SERVER_ERROR)
                raise
        if receive.exceeded:
            raise TooLarge
        if answer.refused:
            raise answer.refused

    async def _record(self, status: int, visit: Visit) -> None:
        """Write the mutating request to the audit log, unless a room has told what happened.

        An anonymous call of our own API that was refused changed nothing and is not written: whoever can
        send packets could fill the log otherwise. Failed sign-ins are facts of their own.
        """
        if visit.ours and visit.caller is None and status >= HTTPStatus.BAD_REQUEST:
            return
        await self._house.audit.request(status)

    async def _run(self, visit: Visit, receive: Receive, send: Send) -> None:
        if not visit.ours:
            await self._app(visit.inner, receive, send)
            return
        try:
            async with asyncio.timeout(self._settings.api_timeout):
                await self._platform(visit.inner, receive, send)
        except TimeoutError as error:
            message = f"No answer within {self._settings.api_timeout:g} seconds."
            raise Unavailable(message) from error

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

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = self._visit(scope, receive, send)
        with current.receiving(visit.origin):
            try:
                await self._lifespan.ensure_started()
                caller = await self._socket_caller(visit)
            except BartizanError as error:
                await refuse(scope, receive, send, error)
                return

            async def alive() -> bool:
                try:
                    await self._socket_caller(visit)
                except BartizanError:
                    return False
                return True

            with current.acting_as(caller):
                visit.inner = self._inner(visit)
                await guarded(self._app, visit.inner, receive, send, alive)

    async def _socket_caller(self, visit: Visit) -> Caller:
        visit.credential = self._callers.credential(visit.headers)
        visit.caller = self._house.stand_in
        if visit.credential is not None and not self._oversized(visit.headers):
            visit.caller = await self._callers.caller(visit.credential, visit.headers)
        if visit.caller is None or visit.ours:
            raise NobodyAsks
        if visit.credential and visit.credential.how == "cookie" and not self._from_us(visit):
            raise CrossSite
        if "app:read" not in visit.caller.permissions:
            raise PermissionMissing(permission="app:read")
        return visit.caller

    def _visit(self, scope: Scope, receive: Receive, send: Send) -> Visit:
        headers: list[Header] = scope["headers"]
        peer = scope["client"][0] if scope.get("client") else None
        scope["scheme"] = self._proxies.scheme(peer, headers, scope.get("scheme", "http"))
        origin = Origin(
            request_id=self._request_id(peer, headers),
            ip=self._proxies.client(peer, headers),
            user_agent=(value_of(headers, b"user-agent") or "")[:400] or None,
            method=scope.get("method"),
            path=scope["path"],
        )
        tls = scope["scheme"] in {"https", "wss"}
        return Visit(scope, receive, send, origin, tls, self._is_ours(scope["path"]))

    def _request_id(self, peer: str | None, headers: Iterable[Header]) -> str:
        if self._proxies.trust(peer):
            told = next((value for name, value in headers if name == b"x-request-id"), b"")
            if _REQUEST_ID.fullmatch(told):
                return told.decode()
        return ids.new("req")

    def _is_ours(self, path: str) -> bool:
        return not self._mount or path == self._mount or path.startswith(self._mount + "/")

    def _is_public(self, visit: Visit) -> bool:
        preflight = visit.method == "OPTIONS" and value_of(visit.headers, b"access-control-request-method")
        return bool(preflight) or self._policy.need(visit.method, visit.path) == "nothing"

    def _limit(self, visit: Visit) -> int:
        return self._settings.max_api_body if visit.ours else self._settings.max_body

    def _oversized(self, headers: list[Header]) -> bool:
        return sum(len(name) + len(value) for name, value in headers) > self._settings.max_header_bytes

    def _check_site(self, visit: Visit) -> None:
        """Refuse what another site's page sends with a cookie; programs and looks are not meant."""
        by_cookie = (
            visit.credential is not None and visit.credential.how == "cookie" and visit.caller is not None
        )
        if by_cookie and visit.method not in SAFE and not self._from_us(visit):
            raise CrossSite

    def _from_us(self, visit: Visit) -> bool:
        if comes_from_us(visit.scope["scheme"], visit.headers):
            return True
        token = value_of(visit.headers, b"x-csrf-token")
        session_id = visit.caller.session_id if visit.caller else None
        return bool(token and session_id and self._house.sessions.check_csrf(session_id, token))

    def _inner(self, visit: Visit) -> dict[str, Any]:
        """Make the scope seen behind the gate: honest headers, no credentials, the client's address."""
        scope, credential = visit.scope, visit.credential
        inner: dict[str, Any] = dict(scope)
        if visit.origin.ip and scope.get("client"):
            inner["client"] = (visit.origin.ip, scope["client"][1])
        inner["state"] = {**scope.get("state", {}), "bartizan_caller": visit.caller}
        if visit.ours:
            inner["root_path"] = scope.get("root_path", "") + self._mount
            return inner
        kept = without_cookies(honest(visit.headers), self._cookies)
        if credential and credential.how == "key":
            kept = [header for header in kept if header[0] != b"x-api-key"]
        if credential and credential.how != "cookie":
            kept = [header for header in kept if header[0] != b"authorization"]
        inner["headers"] = kept
        return inner
