"""The gate in front of every request: pure ASGI, one small step after the other."""

import asyncio
import re
import time
from collections.abc import MutableMapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bartizan.doors.http.bodies import TooLarge, limited, too_large
from bartizan.doors.http.problems import document, fault, refusal, response
from bartizan.foundation import ids
from bartizan.foundation.context import Caller, NobodyAsks, Origin, PermissionMissing, current
from bartizan.foundation.errors import BartizanError, Unauthenticated, Unavailable
from bartizan.foundation.telemetry import logger
from bartizan.house import Bartizan

from .address import Proxies
from .callers import Callers, Credential
from .cookies import clear_cookie, csrf_cookie, session_cookie, without_cookies
from .forgery import CrossSite, comes_from_us
from .headers import Header, dressed, honest, value_of
from .lifespan import Lifespan
from .policy import SAFE, Policy
from .sockets import guarded

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{8,64}")
_SERVER_ERROR = 500


class Guard:
    """Learns who is asking, refuses who may not, and records what was changed.

    An instance, not a function: servers take functions for factories. ``platform`` answers below the mount
    path, ``app`` everywhere else.
    """

    def __init__(self, app: ASGIApp, platform: ASGIApp, house: Bartizan) -> None:
        """Stand in front of ``app``."""
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
        self._lifespan = Lifespan(app, house)
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

    # -- HTTP ---------------------------------------------------------------------------------------------

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        origin, tls = self._origin(scope)
        ours = self._is_ours(scope["path"])
        status = 0

        async def dressing(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers: list[Header] = list(message.get("headers", ()))
                message["headers"] = dressed(headers, request_id=origin.request_id, ours=ours, tls=tls)
            await send(message)

        with current.receiving(origin):
            try:
                await self._admit(scope, receive, dressing, ours=ours)
            except TooLarge:
                if not status:
                    limit = self._limit(ours=ours)
                    await response(too_large(limit))(scope, receive, dressing)
            except BartizanError as error:
                if status:
                    raise
                if isinstance(error, Unavailable):
                    self._log.warning("request.unavailable", code=error.code, error=str(error))
                await refusal(error)(scope, receive, dressing)
            except Exception:
                if not ours:
                    raise
                self._log.exception("request.failed", path=scope["path"])
                if not status:
                    await fault()(scope, receive, dressing)
            finally:
                self._house.metrics.request(
                    method=scope["method"],
                    status=status or _SERVER_ERROR,
                    seconds=time.perf_counter() - started,
                    door="platform" if ours else "app",
                )

    async def _admit(self, scope: Scope, receive: Receive, send: Send, *, ours: bool) -> None:
        headers: list[Header] = scope["headers"]
        if self._oversized(headers):
            await response(_headers_too_large())(scope, receive, send)
            return
        limit = self._limit(ours=ours)
        length = value_of(headers, b"content-length")
        if length is not None and (not length.isdigit() or int(length) > limit):
            await response(too_large(limit))(scope, receive, send)
            return
        await self._lifespan.ensure_started()
        credential = self._callers.credential(headers)
        public = ours or self._is_public(scope, headers)
        caller: Caller | None = None
        if credential is not None:
            try:
                caller = await self._callers.caller(credential, headers)
            except Unauthenticated as error:
                if credential.how != "cookie":
                    raise
                if not public:
                    await self._turn_away(scope, receive, send, error, stale=True)
                    return
        if credential and caller and credential.how == "cookie" and scope["method"] not in SAFE and not ours:
            self._check_site(scope, headers, caller)
        if not public and not await self._may(scope, receive, send, caller):
            return
        with current.acting_as(caller):
            inner = self._inner(scope, headers, caller, credential, ours=ours)
            await self._serve(inner, limited(receive, limit), send, ours=ours)

    async def _may(self, scope: Scope, receive: Receive, send: Send, caller: Caller | None) -> bool:
        need = self._policy.need(scope["method"], scope["path"])
        if caller is None:
            await self._turn_away(scope, receive, send, NobodyAsks())
            return False
        if need != "nothing" and need not in caller.permissions:
            with current.acting_as(caller):
                if scope["method"] not in SAFE:
                    await self._house.audit.request(HTTPStatus.FORBIDDEN)
            message = f"This needs {need}."
            raise PermissionMissing(message, permission=need)
        return True

    async def _serve(self, scope: Scope, receive: Receive, send: Send, *, ours: bool) -> None:
        """Run what is behind the gate; a change is on the record before its answer leaves."""
        if scope["method"] in SAFE:
            await self._run(scope, receive, send, ours=ours)
            return
        answered = False

        async def recording(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start" and not answered:
                answered = True
                await self._record(message["status"], ours=ours)
            await send(message)

        try:
            await self._run(scope, receive, recording, ours=ours)
        except TooLarge:
            raise
        except BaseException:
            if not answered:
                await self._record(_SERVER_ERROR, ours=ours)
            raise

    async def _record(self, status: int, *, ours: bool) -> None:
        """Write the mutating request to the audit log, unless a room has told what happened.

        An anonymous call of our own API that was refused changed nothing and is not written: whoever can
        send packets could fill the log otherwise. Failed sign-ins are facts of their own.
        """
        if ours and current.anyone is None and status >= HTTPStatus.BAD_REQUEST:
            return
        await self._house.audit.request(status)

    async def _run(self, scope: Scope, receive: Receive, send: Send, *, ours: bool) -> None:
        if not ours:
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._settings.api_timeout):
                await self._platform(scope, receive, send)
        except TimeoutError as error:
            message = f"No answer within {self._settings.api_timeout:g} seconds."
            raise Unavailable(message) from error

    async def _turn_away(
        self, scope: Scope, receive: Receive, send: Send, error: Unauthenticated, *, stale: bool = False
    ) -> None:
        """Refuse somebody unknown: a page of a browser goes to sign-in and comes back, a program gets 401."""
        answer: Response
        if _is_navigation(scope):
            target = scope.get("root_path", "") + scope["path"]
            if scope.get("query_string"):
                target += "?" + scope["query_string"].decode("latin-1")
            answer = RedirectResponse(f"{self._mount}/sign-in?next={quote(target, safe='')}", 303)
            answer.headers["cache-control"] = "no-store"
        else:
            answer = refusal(error)
        if stale:
            answer.raw_headers.append(clear_cookie(self._cookie, secure=self._secure))
        await answer(scope, receive, send)

    # -- websockets -----------------------------------------------------------------------------------------

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin, _ = self._origin(scope)
        headers: list[Header] = scope["headers"]
        ours = self._is_ours(scope["path"])
        with current.receiving(origin):
            try:
                await self._lifespan.ensure_started()
                credential = self._callers.credential(headers)
                if credential is None or self._oversized(headers) or ours:
                    raise NobodyAsks
                caller = await self._callers.caller(credential, headers)
                if credential.how == "cookie":
                    self._check_site(scope, headers, caller)
                if "app:read" not in caller.permissions:
                    raise PermissionMissing(permission="app:read")
            except BartizanError as error:
                await _refuse_socket(scope, receive, send, error)
                return

            async def alive() -> bool:
                try:
                    await self._callers.caller(credential, headers)
                except BartizanError:
                    return False
                return True

            with current.acting_as(caller):
                inner = self._inner(scope, headers, caller, credential, ours=ours)
                await guarded(self._app, inner, receive, send, alive)

    # -- steps ------------------------------------------------------------------------------------------------

    def _origin(self, scope: Scope) -> tuple[Origin, bool]:
        headers: list[Header] = scope["headers"]
        peer = scope["client"][0] if scope.get("client") else None
        trusted = self._proxies.trust(peer)
        scheme = self._proxies.scheme(peer, headers, scope.get("scheme", "http"))
        scope["scheme"] = scheme
        told = next((value for name, value in headers if name == b"x-request-id"), b"") if trusted else b""
        request_id = told.decode() if _REQUEST_ID.fullmatch(told) else ids.new("req")
        agent = value_of(headers, b"user-agent")
        origin = Origin(
            request_id=request_id,
            ip=self._proxies.client(peer, headers),
            user_agent=agent[:400] if agent else None,
            method=scope.get("method"),
            path=scope["path"],
        )
        return origin, scheme in {"https", "wss"}

    def _is_ours(self, path: str) -> bool:
        return not self._mount or path == self._mount or path.startswith(self._mount + "/")

    def _is_public(self, scope: Scope, headers: list[Header]) -> bool:
        preflight = scope["method"] == "OPTIONS" and value_of(headers, b"access-control-request-method")
        return bool(preflight) or self._policy.need(scope["method"], scope["path"]) == "nothing"

    def _limit(self, *, ours: bool) -> int:
        return self._settings.max_api_body if ours else self._settings.max_body

    def _oversized(self, headers: list[Header]) -> bool:
        return sum(len(name) + len(value) for name, value in headers) > self._settings.max_header_bytes

    def _check_site(self, scope: Scope, headers: list[Header], caller: Caller) -> None:
        if comes_from_us(scope["scheme"], headers):
            return
        token = value_of(headers, b"x-csrf-token")
        if token and caller.session_id and self._house.sessions.check_csrf(caller.session_id, token):
            return
        raise CrossSite

    def _inner(
        self,
        scope: Scope,
        headers: list[Header],
        caller: Caller | None,
        credential: Credential | None,
        *,
        ours: bool,
    ) -> MutableMapping[str, Any]:
        """Make the scope that is seen behind the gate: honest headers, no credentials, the client's address."""
        origin = current.origin
        inner = dict(scope)
        if origin and origin.ip and scope.get("client"):
            inner["client"] = (origin.ip, scope["client"][1])
        state = {**scope.get("state", {}), "bartizan_caller": caller}
        if credential:
            state["bartizan_credential"] = credential
        inner["state"] = state
        if ours:
            inner["path"] = scope["path"]
            inner["root_path"] = scope.get("root_path", "") + self._mount
            return inner
        kept = without_cookies(honest(headers), self._cookies)
        if credential and credential.how == "key":
            kept = [header for header in kept if header[0] != b"x-api-key"]
        if credential and credential.how != "cookie":
            kept = [header for header in kept if header[0] != b"authorization"]
        inner["headers"] = kept
        return inner


def _is_navigation(scope: Scope) -> bool:
    if scope["method"] not in {"GET", "HEAD"}:
        return False
    mode = value_of(scope["headers"], b"sec-fetch-mode")
    accepts = "text/html" in (value_of(scope["headers"], b"accept") or "")
    return accepts and mode in {None, "navigate"}


def _headers_too_large() -> dict[str, Any]:
    title = "The request headers are too large."
    return document(status=431, code="headers-too-large", title=title)


async def _refuse_socket(scope: Scope, receive: Receive, send: Send, error: BartizanError) -> None:
    """Refuse at the handshake: with a status where the server can, else by closing, which servers turn into 403."""
    message = await receive()
    if message["type"] != "websocket.connect":
        return
    if "websocket.http.response" in scope.get("extensions", {}):
        answer = refusal(error)
        headers = list(answer.raw_headers)
        await send(
            {"type": "websocket.http.response.start", "status": answer.status_code, "headers": headers}
        )
        await send({"type": "websocket.http.response.body", "body": answer.body})
    else:
        await send({"type": "websocket.close", "code": 4401, "reason": error.title[:120]})
