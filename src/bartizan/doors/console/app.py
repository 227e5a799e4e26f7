"""Which page answers which path, and what is shown when one cannot."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from bartizan.doors.guard.request import CrossSite
from bartizan.doors.http.problems import status_of
from bartizan.foundation.context import current
from bartizan.foundation.errors import BartizanError, Forbidden, NotFound, Refusal, Unauthenticated
from bartizan.foundation.telemetry import logger
from bartizan.house import Bartizan

from .views import VIEWS, View, refused
from .visit import Pages, Visit

_METHODS = frozenset({"GET", "HEAD", "POST"})
_STATIC = "/static/"


class Console:
    """Server-rendered pages as a pure ASGI application: plain HTML that needs no script.

    It stands behind the gate, which says who is asking; where nobody says so, it reads the session cookie
    itself.
    """

    def __init__(self, house: Bartizan) -> None:
        """Serve the pages of ``house``."""
        self._pages = Pages(house)
        self._house = house
        self._log = logger(__name__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope, receive)
        path = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        if path.startswith(_STATIC):
            answer = self._pages.assets.serve(path.removeprefix(_STATIC))
        elif request.method not in _METHODS:
            answer = PlainTextResponse(
                "Pages are read by GET and sent by POST.", 405, {"allow": "GET, HEAD, POST"}
            )
        else:
            visit = Visit(self._pages, request, path)
            answer = await self._answer(visit)
        if request.method == "HEAD":
            answer.body = b""
        await answer(scope, receive, send)

    async def _answer(self, visit: Visit) -> Response:
        if current.anyone is None and visit.session_token:
            try:
                principal = await self._house.sessions.authenticate(visit.session_token)
            except Unauthenticated:
                visit.stale = True
                visit.end_session()
            else:
                with current.acting_as(principal.caller()):
                    return await self._safely(visit)
        return await self._safely(visit)

    async def _safely(self, visit: Visit) -> Response:
        try:
            return await self._view(visit)
        except CrossSite as error:
            return await refused(visit, error, status_of(error))
        except Unauthenticated:
            told = "ended" if visit.stale else ""
            return visit.go(visit.url("/sign-in", next="" if visit.posted else _here(visit), told=told))
        except Refusal as error:
            return await refused(visit, error, status_of(error))
        except BartizanError as error:
            self._log.warning("console.unavailable", code=error.code, error=str(error))
            return await refused(visit, error, status_of(error))

    async def _view(self, visit: Visit) -> Response:
        view: View | None = VIEWS.get(visit.path)
        if view is None or (visit.posted and not view.post) or (not visit.posted and not view.get):
            raise NoSuchPage
        if visit.posted:
            await visit.read_form()
        if view.signed_in:
            caller = current.caller
            if caller.kind != "user":
                raise PeopleOnly
        return await view.answer(visit)


class NoSuchPage(NotFound):
    """There is no page at this address."""


class PeopleOnly(Forbidden):
    """The pages are for people: a key cannot use them."""


def _here(visit: Visit) -> str:
    query = visit.request.url.query
    return visit.url(visit.path) + (f"?{query}" if query else "")
