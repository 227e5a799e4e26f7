"""The pages in a real browser, light and dark, wide and narrow."""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from playwright.async_api import Browser, Page, async_playwright, expect

from bartizan.backbone.preferences import PreferenceChange
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import current
from bartizan.foundation.database import Database
from tests.doors.console.pages import PASSWORD, Rooms

CHROMIUM = os.environ.get("BARTIZAN_TEST_CHROMIUM", "/usr/bin/chromium")
PICTURES = os.environ.get("BARTIZAN_TEST_PICTURES")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIDEWAYS = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
SMALL = """() => [...document.querySelectorAll('a, button, input, select')].filter(e => {
  const box = e.getBoundingClientRect(), style = getComputedStyle(e);
  return box.width > 1 && box.top > 0 && style.visibility === 'visible' && !e.closest('.sr, p, .summary')
    && (box.height < 24 || box.width < 24);
}).map(e => e.outerHTML)"""
CLIPPED = """() => [...document.querySelectorAll('h1, h2, button, .badge, label')].filter(e =>
  !e.closest('.sr') && e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== 'inline')
  .map(e => e.outerHTML)"""


@pytest.fixture
async def served(
    sqlite_template: Path, tmp_path: Path, clock: ManualClock
) -> AsyncGenerator[tuple[Rooms, str]]:
    shutil.copyfile(sqlite_template, tmp_path / "bartizan.db")
    database = Database(f"sqlite:///{tmp_path}/bartizan.db")
    rooms = Rooms(database, clock)
    server = uvicorn.Server(uvicorn.Config(rooms.console(), port=0, log_level="warning", lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - the server has no event to wait for
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield rooms, f"http://127.0.0.1:{port}"
    server.should_exit = True
    await task
    await database.close()


@pytest.fixture
async def chromium() -> AsyncGenerator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


async def opened(browser: Browser, complaints: list[str], **options: Any) -> Page:
    """Open a window that writes down every complaint of the browser, and reaches nobody but us."""
    context = await browser.new_context(java_script_enabled=True, **options)
    page = await context.new_page()
    page.set_default_timeout(5000)
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith("http://127.0.0.1:") else complaints.append(f"asked {request.url}")
        ),
    )
    return page


async def looked_at(page: Page, name: str) -> None:
    """Check the layout of a page, and keep a picture of it where that is asked for."""
    assert await page.evaluate(SIDEWAYS) == 0, name
    assert await page.evaluate(SMALL) == [], name
    assert await page.evaluate(CLIPPED) == [], name
    if PICTURES:
        await page.screenshot(path=f"{PICTURES}/{name}.png", full_page=True)


async def sign_up(page: Page, base: str) -> None:
    await page.goto(f"{base}/sign-up")
    await page.get_by_label("E-mail address").fill("ada@acme.example")
    await page.get_by_label("Your name").fill("Ada Lovelace")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_label("Organization").fill("Northwind Health")
    await page.get_by_role("button", name="Create account").click()
    await expect(page).to_have_url(f"{base}/account")


@pytest.mark.feature("ID-01", "ID-03")
async def test_one_signs_up_and_in_with_a_browser_and_nothing_complains(
    served: tuple[Rooms, str], chromium: Browser
) -> None:
    _, base = served
    complaints: list[str] = []
    page = await opened(chromium, complaints)
    await sign_up(page, base)
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("status")).to_have_text("You are signed out.")
    await expect(page.get_by_label("E-mail address or user name")).to_be_focused()
    await page.keyboard.type("ada@acme.example")
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(f"{base}/account")
    await page.get_by_label("Name of the key").fill("nightly export")
    await page.get_by_role("button", name="Create key").click()
    await expect(page.get_by_role("heading", name="Your new key: nightly export")).to_be_visible()
    assert complaints == []
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()


async def test_an_error_takes_the_focus_and_leads_to_its_field(
    served: tuple[Rooms, str], chromium: Browser
) -> None:
    _, base = served
    complaints: list[str] = []
    page = await opened(chromium, complaints)
    await page.goto(f"{base}/sign-up")
    await page.get_by_label("E-mail address").fill("ada@acme.example")
    await page.get_by_label("Password").fill("short")
    await page.get_by_role("button", name="Create account").click()
    await expect(page.get_by_role("alert")).to_be_focused()
    await expect(page).to_have_title(re.compile("^Error: "))
    await page.get_by_role("alert").get_by_role("link").click()
    await expect(page.get_by_label("Password")).to_be_focused()
    await expect(page.get_by_label("E-mail address")).to_have_value("ada@acme.example")
    assert [text for text in complaints if "422" not in text] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390, 320])
async def test_no_page_is_wider_than_its_window(
    served: tuple[Rooms, str], chromium: Browser, scheme: Any, width: int
) -> None:
    rooms, base = served
    complaints: list[str] = []
    page = await opened(
        chromium,
        complaints,
        color_scheme=scheme,
        viewport={"width": width, "height": 800},
        has_touch=width < 500,
    )
    for path in ("sign-in", "sign-up", "forgot", "reset?token=x", "verify?token=x", "owner?token=x"):
        await page.goto(f"{base}/{path}")
        await looked_at(page, f"{path.partition('?')[0]}-{scheme}-{width}")
    await page.get_by_label("E-mail address").fill("a" * 60 + "@" + "b" * 60 + ".example")
    await page.get_by_label("Password").fill("short")
    await page.get_by_role("button").click()
    await looked_at(page, f"error-{scheme}-{width}")
    await sign_up(page, base)
    await page.goto(f"{base}/organization")
    for number in range(2):
        await page.get_by_label("E-mail address").fill(
            f"a.rather.long.address.{number}@a-long-domain.example"
        )
        await page.get_by_role("button", name="Send invitation").click()
    await looked_at(page, f"organization-{scheme}-{width}")
    link = httpx.URL(await rooms.link("/invitation")).raw_path.decode()
    await page.goto(f"{base}/account")
    await page.get_by_label("Name of the key").fill("nightly export")
    await page.get_by_role("button", name="Create key").click()
    await looked_at(page, f"account-{scheme}-{width}")
    for path in ("organization/audit", "choose", "nowhere"):
        await page.goto(f"{base}/{path}")
        await looked_at(page, f"{path.rpartition('/')[2]}-{scheme}-{width}")
    principal = await rooms.sessions.authenticate((await page.context.cookies())[0]["value"])
    with current.as_system(principal.org_id):
        await rooms.preferences.set("brand.hue", PreferenceChange(value=150), "organization")
    await page.goto(f"{base}/organization")
    await looked_at(page, f"green-{scheme}-{width}")
    await page.context.clear_cookies()
    await page.goto(base + link)
    await looked_at(page, f"invitation-{scheme}-{width}")
    assert [text for text in complaints if "404" not in text and "422" not in text] == []
