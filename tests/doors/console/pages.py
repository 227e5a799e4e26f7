"""The rooms that the pages need, built on a real database, and a browser without scripts."""

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import httpx

from bartizan.access.api_keys import ApiKeys
from bartizan.access.api_keys.capability import capability as api_keys
from bartizan.access.identity import Identity, IdentitySettings
from bartizan.access.identity.capability import capability as identity
from bartizan.access.orgs import Orgs
from bartizan.access.rbac import Rbac
from bartizan.access.sessions import Sessions
from bartizan.backbone.audit import Audit
from bartizan.backbone.audit.capability import capability as audit
from bartizan.backbone.email import Email, EmailSettings
from bartizan.backbone.events import Events
from bartizan.backbone.jobs import Jobs, Worker
from bartizan.backbone.preferences import Preferences
from bartizan.doors.console import Console
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.crypto import SigningKeys
from bartizan.foundation.database import Database
from tests.harness.keys import keyring
from tests.harness.mailbox import Mailbox

if TYPE_CHECKING:
    from bartizan.house import Bartizan

ORIGIN = "http://app.test"
PASSWORD = "correct-horse-battery"


class Rooms:
    """The part of a house that the pages use."""

    def __init__(
        self, database: Database, clock: ManualClock, *, mount: str = "", secure: bool = False
    ) -> None:
        base = (ORIGIN.replace("http:", "https:") if secure else ORIGIN) + mount
        self.settings = SimpleNamespace(mount=mount, secure_cookies=secure)
        self.database, self.clock, self.keyring = database, clock, keyring()
        self.events = Events(database, clock=clock)
        self.audit = Audit(database, self.events, self.keyring, clock=clock)
        self.jobs = Jobs(database, self.events, clock=clock)
        self.preferences = Preferences(database, self.events, clock=clock)
        self.box = Mailbox()
        self.email = Email(
            database,
            self.events,
            self.jobs,
            self.keyring,
            self.preferences,
            settings=EmailSettings(product="Northwind"),
            provider=self.box,
            clock=clock,
        )
        settings = IdentitySettings(verify_email=False, even_out=0, mail_pause=0)
        self.identity = Identity(database, self.events, settings, email=self.email, clock=clock, pages=base)
        self.rbac = Rbac(database, self.events, clock=clock)
        for capability in (audit, identity, api_keys):
            self.rbac.declare(*capability.permissions)
        self.orgs = Orgs(
            database,
            self.events,
            rbac=self.rbac,
            people=self.identity,
            post=self.email,
            clock=clock,
            base_url=base,
        )
        self.sessions = Sessions(
            database,
            self.events,
            identity=self.identity,
            rbac=self.rbac,
            orgs=self.orgs,
            keyring=self.keyring,
            signing_keys=SigningKeys(database, self.keyring, clock=clock),
            clock=clock,
            email=self.email,
            pages=base,
            secure_cookies=secure,
        )
        self.api_keys = ApiKeys(
            database, self.events, rbac=self.rbac, orgs=self.orgs, keyring=self.keyring, clock=clock
        )

    def console(self) -> Console:
        return Console(cast("Bartizan", self))

    async def link(self, path: str) -> str:
        """Deliver the mail that waits, and give the newest link to a page."""
        await Worker(self.jobs).run_pending()
        found = [match for mail in self.box.mails for match in re.findall(r"https?://\S+", mail.text)]
        links: list[str] = [link for link in found if f"{path}?token=" in link]
        return links[-1]


class Document(HTMLParser):
    """What a page holds: its fields, its forms, its words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return [a for t, a in self.tags if t == tag and wanted.items() <= a.items()]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@dataclass
class Page:
    """An answer, read."""

    status: int
    headers: httpx.Headers
    html: str
    path: str

    @property
    def document(self) -> Document:
        return Document(self.html)

    @property
    def text(self) -> str:
        return self.document.text


class Browser:
    """Follows links and fills forms, as a browser without scripts does."""

    def __init__(self, rooms: Rooms, *, address: str = "203.0.113.9") -> None:
        mount = str(rooms.settings.mount)
        console = rooms.console()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await console({**scope, "root_path": mount}, receive, send)

        self.mount = mount
        origin = ORIGIN.replace("http:", "https:") if rooms.settings.secure_cookies else ORIGIN
        transport = httpx.ASGITransport(app, client=(address, 4711))
        self.http = httpx.AsyncClient(transport=transport, base_url=origin)

    async def get(self, path: str, **headers: str) -> Page:
        return self._page(await self.http.get(path, headers=headers))

    async def open(self, path: str) -> Page:
        """Get a page, following where it sends us within our pages."""
        page = await self.get(path)
        for _ in range(5):
            if page.status != 303 or not page.headers["location"].startswith(self.mount + "/"):
                break
            page = await self.get(page.headers["location"])
        return page

    async def send(self, page: Page, *, action: str | None = None, **values: str) -> Page:
        """Fill the form of a page and send it: the first, or the one with that action."""
        parser = page.document
        chosen = action or parser.all("form", method="post")[0]["action"]
        token = parser.all("input", name="csrf")[0]["value"] or ""
        hidden = {
            str(field["name"]): field["value"] or ""
            for field in parser.all("input", type="hidden")
            if action is None and field["name"] != "csrf"
        }
        return await self.post(chosen or page.path, csrf=token, **{**hidden, **values})

    async def post(self, path: str, **values: str) -> Page:
        return self._page(
            await self.http.post(path, data=values, headers={"origin": str(self.http.base_url)})
        )

    def _page(self, answer: httpx.Response) -> Page:
        return Page(answer.status_code, answer.headers, answer.text, answer.request.url.path)

    async def sign_up(self, email: str = "ada@acme.example", organization: str = "Acme") -> Page:
        page = await self.get(f"{self.mount}/sign-up")
        return await self.send(
            page, email=email, full_name="Ada Lovelace", password=PASSWORD, organization=organization
        )
