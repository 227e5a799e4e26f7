"""The pages, by a browser without scripts."""

import pytest

from bartizan.foundation.clock import ManualClock
from bartizan.foundation.database import Database

from .pages import PASSWORD, Browser, Rooms


@pytest.fixture
def rooms(database: Database, clock: ManualClock) -> Rooms:
    return Rooms(database, clock)


@pytest.fixture
def browser(rooms: Rooms) -> Browser:
    return Browser(rooms)


async def test_one_signs_up_signs_out_and_signs_in_again(browser: Browser) -> None:
    answer = await browser.sign_up()
    assert (answer.status, answer.headers["location"]) == (303, "/account")
    account = await browser.get("/account")
    assert (account.status, "Signed in as ada@acme.example" in account.text) == (200, True)
    out = await browser.send(account, action="/sign-out")
    assert out.headers["location"] == "/sign-in?told=out"
    page = await browser.open("/account")
    assert (page.status, page.path) == (200, "/sign-in")
    again = await browser.send(page, login="ada@acme.example", password=PASSWORD)
    assert again.headers["location"] == "/account"
    assert (await browser.get("/account")).status == 200
