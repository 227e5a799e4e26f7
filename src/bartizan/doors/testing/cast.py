"""Organizations and people for tests, made through the public services only."""

import secrets
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.types import ASGIApp

from bartizan.access.identity import PreparedUser
from bartizan.access.orgs import NewOrganization
from bartizan.doors.guard.request import session_cookie
from bartizan.foundation.context import current
from bartizan.house import Bartizan

HOST = "http://app.test"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is signed in."""

    id: str
    email: str
    org_id: str
    role: str
    session_id: str
    token: str
    """Opaque, as the cookie of a browser carries it."""
    access_token: str
    """As a program sends it: ``Authorization: Bearer``."""


class Cast:
    """Makes organizations and the people in them: ``ada = await cast.person(acme, "admin")``."""

    def __init__(self, bz: Bartizan) -> None:
        """Work on this house."""
        self._bz = bz
        self._count = 0

    async def organization(self, name: str = "Acme") -> str:
        """Make an organization with an owner nobody meets; give its id."""
        owner = await self._user(f"founder-of-{name.lower().replace(' ', '-')}")
        with current.as_system():
            return (await self._bz.orgs.create(NewOrganization(name=name), owner_id=owner)).id

    async def person(self, org_id: str, role: str = "member", name: str = "") -> Person:
        """Make a person with a role in an organization, and sign them in."""
        user_id = await self._user(name or role)
        await self.join(user_id, org_id, role)
        return await self.sign_in(user_id, org_id, role)

    async def join(self, user_id: str, org_id: str, role: str = "member") -> None:
        """Make somebody a member of one more organization."""
        with current.as_system(org_id):
            await self._bz.orgs.members.join(user_id, role, org_id=org_id, source="added")

    async def sign_in(self, user_id: str, org_id: str, role: str = "member") -> Person:
        """Sign somebody in once more, for one of their organizations."""
        with current.as_system():
            tokens = await self._bz.sessions.open(user_id, method="test", org_id=org_id)
            user = await self._bz.identity.get(user_id)
        return Person(
            id=user_id,
            email=user.email,
            org_id=org_id,
            role=role,
            session_id=tokens.session_id,
            token=tokens.session_token or "",
            access_token=tokens.access_token or "",
        )

    async def _user(self, name: str) -> str:
        self._count += 1
        email = f"{name}-{self._count}-{secrets.token_hex(3)}@example.com"
        with current.as_system():
            new = PreparedUser(email=email, full_name=name.title(), password_hash=None)
            return (await self._bz.identity.create(new, verified=True)).id


def program(
    app: ASGIApp, person: Person, *, address: str = "203.0.113.9", **headers: str
) -> httpx.AsyncClient:
    """Make a client that calls ``app`` as a program of that person does: with a bearer token."""
    headers = {"authorization": f"Bearer {person.access_token}", **headers}
    return _client(app, address, headers)


def browser(
    app: ASGIApp, person: Person, *, address: str = "203.0.113.9", **headers: str
) -> httpx.AsyncClient:
    """Make a client that calls ``app`` as that person's browser does: with the session cookie."""
    client = _client(app, address, headers)
    # With the domain that answers set it for: a new token has to replace it, as in a browser.
    client.cookies.set(session_cookie(secure=False), person.token, domain="app.test", path="/")
    return client


def anyone(app: ASGIApp, *, address: str = "203.0.113.9", **headers: str) -> httpx.AsyncClient:
    """Make a client that calls ``app`` without any credential."""
    return _client(app, address, headers)


def _client(app: ASGIApp, address: str, headers: dict[str, Any]) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(address, 4711))
    return httpx.AsyncClient(transport=transport, base_url=HOST, headers=headers)
