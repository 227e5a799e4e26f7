"""Invitations, members and organizations on the pages, by a browser without scripts."""

import httpx
import pytest

from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import current
from bartizan.foundation.database import Database
from tests.doors.console.pages import PASSWORD, Browser, Rooms

EMAIL = "ada@acme.example"


@pytest.fixture
def rooms(database: Database, clock: ManualClock) -> Rooms:
    return Rooms(database, clock)


@pytest.fixture
def browser(rooms: Rooms) -> Browser:
    return Browser(rooms)


@pytest.mark.feature("TEN-05")
async def test_an_invited_person_joins_with_a_new_account(rooms: Rooms, browser: Browser) -> None:
    await browser.sign_up()
    page = await browser.get("/organization")
    sent = await browser.send(page, action="/organization/invite", email="ben@x.example", role="viewer")
    assert sent.headers["location"] == "/organization?told=invited"
    assert "ben@x.example" in (await browser.get("/organization")).text
    link = httpx.URL(await rooms.link("/invitation")).raw_path.decode()
    ben = Browser(rooms, address="198.51.100.7")
    page = await ben.get(link)
    assert (page.status, "Join Acme" in page.text, "ben@x.example" in page.text) == (200, True, True)
    assert page.document.all("a", href=f"/sign-in?next={httpx.QueryParams({'n': link})}".replace("n=", "", 1))
    joined = await ben.send(page, full_name="Ben", password=PASSWORD)
    assert joined.headers["location"] == "/account"
    organization = await ben.get("/organization")
    assert (organization.status, "Send invitation" in organization.text) == (200, False)
    gone = await Browser(rooms).get(link)
    assert (gone.status, "no longer open" in gone.text) == (410, True)


async def test_an_invited_person_joins_with_the_account_they_have(rooms: Rooms, browser: Browser) -> None:
    await browser.sign_up()
    ben = Browser(rooms, address="198.51.100.7")
    await ben.sign_up("ben@x.example", "Bens")
    page = await browser.get("/organization")
    await browser.send(page, action="/organization/invite", email="ben@x.example", role="member")
    link = httpx.URL(await rooms.link("/invitation")).raw_path.decode()
    wrong = await browser.send(await browser.get(link))
    assert wrong.status == 422
    page = await ben.get(link)
    assert "Create account" not in page.text
    joined = await ben.send(page)
    assert joined.status == 303
    account = await ben.get("/account")
    assert "Acme" in account.text
    assert "Bens" in account.text
    switched = await ben.send(
        account, action="/choose", org_id=await org_of(rooms, ben, "Bens"), next="/account"
    )
    assert switched.headers["location"] == "/account"
    choices = await ben.get("/choose")
    assert len(choices.document.all("input", name="org_id")) == 2


async def org_of(rooms: Rooms, browser: Browser, name: str) -> str:
    principal = await rooms.sessions.authenticate(browser.http.cookies["bartizan"])
    with current.acting_as(principal.caller()):
        return next(one.id for one in await rooms.orgs.mine() if one.name == name)


async def test_nobody_switches_to_an_organization_of_others(rooms: Rooms, browser: Browser) -> None:
    await browser.sign_up()
    ben = Browser(rooms, address="198.51.100.7")
    await ben.sign_up("ben@x.example", "Bens")
    acme = await org_of(rooms, browser, "Acme")
    answer = await ben.send(await ben.get("/account"), action="/choose", org_id=acme)
    assert answer.status in {403, 404}
    assert "Bens" in (await ben.get("/organization")).text


async def test_an_administrator_changes_roles_and_removes_people(rooms: Rooms, browser: Browser) -> None:
    await browser.sign_up()
    page = await browser.get("/organization")
    await browser.send(page, action="/organization/invite", email="ben@x.example", role="viewer")
    ben = Browser(rooms, address="198.51.100.7")
    joining = await ben.get(httpx.URL(await rooms.link("/invitation")).raw_path.decode())
    await ben.send(joining, full_name="Ben", password=PASSWORD)
    page = await browser.get("/organization")
    [user_id] = {str(field["value"]) for field in page.document.all("input", name="user_id")}
    done = await browser.send(page, action="/organization/role", user_id=user_id, role="developer")
    assert done.headers["location"] == "/organization?told=role"
    bad = await browser.send(page, action="/organization/role", user_id=user_id, role="emperor")
    assert (bad.status, bool(bad.document.all("div", role="alert"))) == (422, True)
    principal = await rooms.sessions.authenticate(browser.http.cookies["bartizan"])
    ada = principal.user_id
    cannot = await ben.send(await ben.get("/account"), action="/organization/remove", user_id=ada)
    assert cannot.status == 422
    assert EMAIL in (await browser.get("/organization")).text
    done = await browser.send(page, action="/organization/remove", user_id=user_id)
    assert done.headers["location"] == "/organization?told=removed"
    assert "ben@x.example" not in (await browser.get("/organization")).text


async def test_an_invitation_is_withdrawn(rooms: Rooms, browser: Browser) -> None:
    await browser.sign_up()
    bad = await browser.send(
        await browser.get("/organization"), action="/organization/invite", email="x", role="viewer"
    )
    assert (bad.status, bool(bad.document.all("p", id="email-wrong"))) == (422, True)
    await browser.send(bad, action="/organization/invite", email="ben@x.example", role="viewer")
    link = httpx.URL(await rooms.link("/invitation")).raw_path.decode()
    page = await browser.get("/organization")
    [invitation_id] = [str(field["value"]) for field in page.document.all("input", name="invitation_id")]
    gone = await browser.send(page, action="/organization/withdraw", invitation_id=invitation_id)
    assert gone.headers["location"] == "/organization?told=withdrawn"
    assert (await Browser(rooms).get(link)).status == 410
