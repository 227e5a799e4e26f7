"""The gate in front of every request: pure ASGI, one small step after the other, in one fixed order."""

import time
from asyncio import timeout
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from bartizan.doors.http.bodies import Limited, TooLarge, too_large
from bartizan.doors.http.idempotent import Idempotent
from bartizan.doors.http.problems import document, fault, refusal, response
from bartizan.foundation.context import NobodyAsks, PermissionMissing, current
from bartizan.foundation.errors import BartizanError, Unavailable
from bartizan.foundation.telemetry import Tracing, logger
from bartizan.house import Bartizan

from .admission import LOOK, Admission, HeadersTooLarge
from .bridge import Bridge
from .callers import Known
from .lifespan import Lifespan
from .policy import NOTHING, SAFE, SOCKET, Policy
from .recorded import Recorded
from .request import (
    CrossSite,
    honest,
)
from .request.headers import SPELLINGS
from .sockets import guarded, refuse
from .visit import Visit

_SERVER_ERROR = 500
_NOTHING: dict[str, Any] = {}


class Guard(Admission):
    """Learns who is asking, refuses who may not, and records what was changed.

    An instance, not a function: servers take functions for factories. ``platform`` answers below the mount
    path, ``app`` everywhere else. A caller who was seen within the last seconds costs no I/O.
    """

    def __init__(
        self,
        app: ASGIApp,
        platform: ASGIApp,
        house: Bartizan,
        *,
        policy: Policy | None = None,
        warm: Callable[[], None] | None = None,
    ) -> None:
        """Stand in front of ``app``, whose routes need what ``policy`` says.

        ``warm`` is called in a thread while the server starts.
        """
        policy = policy or Policy.of(house.settings.guard, house.rbac, app)
        super().__init__(house, Lifespan(app, house, warm, self._learn), policy)
        self._bridge = Bridge(house.settings.bridge, clock=house.clock)
        self._app = app
        self._platform = platform
        self._note = house.metrics.request
        self._add = house.usage.add
        self._idempotent = Idempotent(house.idempotency)
        self._tracing = Tracing()
        self._traces, self._look_for_tracing_at = False, 0.0
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
        visit = self._visit(scope, receive, send, started)
        if started >= self._look_for_tracing_at:
            self._look_for_tracing_at, self._traces = started + LOOK, self._tracing.active
        token = current.enter(visit.origin)
        try:
            if self._traces:
                await self._traced(visit)
            else:
                await self._answer(visit)
        finally:
            current.leave(token)
            self._settle(visit, time.perf_counter() - started)

    def _settle(self, visit: Visit, seconds: float) -> None:
        """Count the request, for metrics and for its organization."""
        method, route, status = visit.method, visit.route, visit.status or _SERVER_ERROR
        self._note(method, route, status, seconds)
        if visit.ours and self._mount:
            return  # usage is of the app; without one, of our own API
        caller = visit.known.caller
        if caller is None:
            self._add(None, None, method, route, status, seconds, visit.origin.request_id)
        else:
            self._add(caller.org_id, caller.id, method, route, status, seconds, visit.origin.request_id)

    async def _traced(self, visit: Visit) -> None:
        """Answer within a span."""
        scheme = visit.scope["scheme"]
        with self._tracing.request(
            method=visit.method, path=visit.path, scheme=scheme, headers=visit.headers
        ) as span:
            try:
                await self._answer(visit)
            finally:
                caller = visit.caller
                span.route(visit.route)
                span.caller(
                    request_id=visit.origin.request_id,
                    caller=caller.id if caller else None,
                    org_id=caller.org_id if caller else None,
                )
                span.answered(visit.status or _SERVER_ERROR)

    async def _answer(self, visit: Visit) -> None:
        """Let a request through or refuse it; what our own rooms raise becomes a problem document."""
        try:
            if await self._admit(visit):
                await self._serve(visit)
        except Exception as error:
            answer = self._refusal(visit, error)
            if answer is None:
                raise
            if not visit.status:
                await self._say(visit, answer)

    def _refusal(self, visit: Visit, error: Exception) -> Response | None:
        """Put an error into an answer; none for those that the server itself shall see."""
        if isinstance(error, TooLarge):
            return response(too_large(self._limit(visit)))
        if isinstance(error, HeadersTooLarge):
            title = "The request headers are too large."
            return response(document(status=431, code="headers-too-large", title=title))
        if isinstance(error, BartizanError) and not visit.status:
            if isinstance(error, Unavailable):
                self._log.warning("request unavailable", code=error.code, error=str(error))
            return refusal(error)
        if isinstance(error, BartizanError) or not visit.ours:
            return None  # the host's own error handling has spoken, and its server shall know
        self._log.exception("request failed", path=visit.path)
        return fault()

    async def _serve(self, visit: Visit) -> None:
        """Run what is behind the gate; a change is on the record before its answer leaves."""
        visit.inner = self._inner(visit)
        fields = visit.fields
        token = current.enter_as(visit.known.caller)
        try:
            if (
                visit.method in SAFE
                and not visit.ours
                and b"content-length" not in fields
                and b"transfer-encoding" not in fields
                and visit.scope["http_version"][:1] == "1"
            ):
                await self._app(visit.inner, visit.receive, visit.send)
            else:
                await self._serve_body(visit)
        finally:
            current.leave_as(token)

    async def _serve_body(self, visit: Visit) -> None:
        """Serve what brings a body, or changes something, or is ours."""
        receive = Limited(visit.receive, self._limit(visit))
        record = None if visit.method in SAFE else partial(self._record, visit=visit)
        answer = Recorded(visit.send, receive, record)
        try:
            if b"idempotency-key" in visit.fields:
                run = partial(self._run, visit)
                await self._idempotent(visit.caller, visit.inner, receive, answer, run)
            else:
                await self._run(visit, visit.inner, receive, answer)
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

    async def _run(self, visit: Visit, inner: Scope, receive: Receive, send: Send) -> None:
        if not visit.ours:
            await self._app(inner, receive, send)
            return
        try:
            async with timeout(self._settings.api_timeout):
                await self._platform(inner, receive, send)
        except TimeoutError as error:
            message = f"No answer within {self._settings.api_timeout:g} seconds."
            raise Unavailable(message) from error

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = self._visit(scope, receive, send, time.perf_counter())
        with current.receiving(visit.origin):
            try:
                await self._lifespan.ensure_started()
                await self._admit_socket(visit)
                await self._count(visit)
                visit.inner = self._inner(visit)
            except BartizanError as error:
                await refuse(scope, receive, send, error)
                return

            async def alive() -> bool:
                try:
                    await self._admit_socket(visit)
                except BartizanError:
                    return False
                return True

            with current.acting_as(visit.caller):
                await guarded(self._app, visit.inner, receive, send, alive)

    async def _admit_socket(self, visit: Visit) -> None:
        """Refuse a websocket that an HTTP request with the same headers would not get, as a look."""
        if visit.ours or self._oversized(visit):
            raise NobodyAsks
        if (refused := self._ip_allowlist.refuses_address(visit.origin.ip)) is not None:
            raise refused
        known = self._callers.remembered(visit.credentials, self._clock.monotonic())
        visit.known = known or await self._callers.learn(visit.credentials, visit.headers)
        if visit.known.caller is None and (stand_in := self._house.stand_in):
            visit.known = Known(stand_in)
        if visit.known.caller is None:
            raise NobodyAsks
        if visit.known.tied:
            self._check_address(visit)
        if visit.known.how == "cookie" and not self._from_us(visit):
            raise CrossSite
        need = self._policy.need(SOCKET, self._inside(visit))
        if need != NOTHING and need not in visit.known.permissions:
            raise PermissionMissing(permission=need)

    def _inner(self, visit: Visit) -> dict[str, Any]:
        """Make the scope seen behind the gate: honest headers, no credentials, the client's address."""
        inner: dict[str, Any] = dict(visit.scope)
        known = visit.known
        client = inner.get("client")
        if client and visit.origin.ip and client[0] != visit.origin.ip:
            inner["client"] = (visit.origin.ip, client[1])
        state = inner.get("state")
        inner["state"] = (
            {**state, "bartizan_caller": known.caller} if state else {"bartizan_caller": known.caller}
        )
        if visit.ours:
            inner["root_path"] = inner.get("root_path", "") + self._mount
            return inner
        if SPELLINGS.isdisjoint(visit.fields):
            hidden = known.hidden
            inner["headers"] = [header for header in visit.headers if header[0] not in hidden]
            inner["headers"] += known.cookies
        else:
            inner["headers"] = [*honest(visit.headers, known.hidden), *known.cookies]
        if self._bridge.names:
            inner["headers"] = self._bridge.dress(inner["headers"], known.caller)
        if user := self._bridge.environ(known.caller).get("REMOTE_USER"):
            inner["remote_user"] = user
        return inner
