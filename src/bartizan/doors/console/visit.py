"""One request for a page: who asks, what was sent, and the answer in our look."""

import secrets
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from bartizan.access.sessions import Tokens
from bartizan.doors.guard.request import (
    CrossSite,
    clear_cookie,
    comes_from_us,
    csrf_cookie,
    read_cookie,
    session_cookie,
    set_cookie,
)
from bartizan.foundation.context import Caller, current
from bartizan.house import Bartizan

from . import forms
from .assets import Assets
from .safety import FormTokens, headers, safe_next

_SAFE = frozenset({"GET", "HEAD"})
_FORM_AGE = 86_400


class Pages:
    """Templates and files, loaded once for a house."""

    def __init__(self, house: Bartizan) -> None:
        self.house = house
        self.assets = Assets()
        self.tokens = FormTokens(house.keyring)
        self.mount: str = house.settings.mount.rstrip("/")
        self.secure: bool = house.settings.secure_cookies
        self.templates = Environment(
            loader=PackageLoader("bartizan.doors.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )


class Visit:
    """What a view works with."""

    def __init__(self, pages: Pages, request: Request, path: str) -> None:
        self.pages = pages
        self.house = pages.house
        self.request = request
        self.path = path
        self.nonce = secrets.token_urlsafe(16)
        self.form = forms.Form()
        self.stale = False
        """Whether a session was presented that no longer counts."""
        self._cookies: list[tuple[bytes, bytes]] = []
        self._root: str = request.scope.get("root_path", "").removesuffix(pages.mount)
        self.session_token = read_cookie(request.scope["headers"], session_cookie(secure=pages.secure))
        self._planted = read_cookie(request.scope["headers"], csrf_cookie(secure=pages.secure))
        if self._planted is None:
            self._planted = FormTokens.new()
            name = csrf_cookie(secure=pages.secure)
            self._cookies.append(set_cookie(name, self._planted, secure=pages.secure, max_age=_FORM_AGE))

    @property
    def posted(self) -> bool:
        """Whether a form was sent."""
        return self.request.method not in _SAFE

    @property
    def caller(self) -> Caller | None:
        """Who asks, or none."""
        return current.anyone

    @property
    def csrf(self) -> str:
        """What the forms of this page carry: bound to the session where there is one."""
        caller = current.anyone
        if caller and caller.session_id:
            return self.house.sessions.csrf_token(caller.session_id)
        return self.pages.tokens.token(self._planted or "")

    @property
    def next(self) -> str:
        """Where to go afterwards; empty where nothing safe was asked for."""
        return safe_next(self.form["next"] or self.request.query_params.get("next")) or ""

    def asked(self, name: str) -> str:
        """Give a value of the form, or else of the address."""
        return self.form[name] or self.request.query_params.get(name, "")[:2000]

    def url(self, path: str, **query: str) -> str:
        """Write the address of one of our pages."""
        given = {name: value for name, value in query.items() if value}
        return f"{self._root}{self.pages.mount}{path}{'?' + urlencode(given) if given else ''}"

    def home(self) -> str:
        """Give the page after signing in: where one came from, the app beside us, or the account."""
        return self.next or (f"{self._root}/" if self.pages.mount else self.url("/account"))

    def asset(self, name: str) -> str:
        """Write the address of a static file."""
        return self.url(f"/static/{self.pages.assets.name(name)}")

    async def read_form(self) -> None:
        """Read the posted form; refuse one that another site's page sent."""
        self.form = await forms.read(self.request)
        token = self.form.values.pop("csrf", "")
        sent = self.request.headers
        vouched = comes_from_us(self.request.url.scheme, self.request.scope["headers"])
        if ("origin" in sent or "sec-fetch-site" in sent) and not vouched:
            raise CrossSite
        caller = current.anyone
        if caller and caller.session_id:
            good = self.house.sessions.check_csrf(caller.session_id, token)
        else:
            name = csrf_cookie(secure=self.pages.secure)
            good = self.pages.tokens.good(read_cookie(self.request.scope["headers"], name), token)
        if not good:
            raise CrossSite

    def start_session(self, tokens: Tokens) -> None:
        """Put the session into its cookie, and retire the form cookie of before."""
        secure = self.pages.secure
        self._cookies = [
            set_cookie(session_cookie(secure=secure), tokens.session_token or "", secure=secure),
            clear_cookie(csrf_cookie(secure=secure), secure=secure),
        ]

    def end_session(self) -> None:
        """Take the session cookie away."""
        self._cookies.append(clear_cookie(session_cookie(secure=self.pages.secure), secure=self.pages.secure))

    async def page(self, template: str, /, status: int = 200, **words: Any) -> Response:
        """Render a page."""
        caller = current.anyone
        brand = await self.house.email.brand(caller.org_id if caller else None)
        context = {"visit": self, "brand": brand, **words}
        html = self.pages.templates.get_template(template).render(context)
        return self._dressed(HTMLResponse(html, status, headers(self.nonce, image=brand.logo_url)))

    def go(self, address: str) -> Response:
        """Send the browser on (303: what was posted is not posted again)."""
        answer = RedirectResponse(address, 303)
        answer.headers["cache-control"] = "no-store"
        answer.headers["referrer-policy"] = "strict-origin"
        return self._dressed(answer)

    def _dressed(self, answer: Response) -> Response:
        answer.raw_headers.extend(self._cookies)
        return answer
