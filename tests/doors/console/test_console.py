"""The pages, by a browser without scripts."""

import re
from datetime import timedelta

import httpx
import pytest

from bartizan.backbone.preferences import PreferenceChange
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import current
from bartizan.foundation.database import Database
from tests.doors.console.pages import PASSWORD, Browser, Page, Rooms

EMAIL = "ada@acme.example"


@pytest.fixture
def rooms(database: Database, clock: ManualClock) -> Rooms:
    return Rooms(database, clock)


@pytest.fixture
def browser(rooms: Rooms) -> Browser:
    return Browser(rooms)


async def sign_in(browser: Browser, login: str = EMAIL, password: str = PASSWORD) -> Page:
    return await browser.send(await browser.get("/sign-in"), login=login, password=password)


async def hidden(rooms: Rooms, browser: Browser, path: str, email: str = EMAIL) -> str:
    """Ask for a link by the form at ``path`` and give the link that was mailed."""
    await browser.send(await browser.get(path), email=email)
    return await rooms.link("/reset" if path == "/forgot" else "/verify")


@pytest.mark.feature("ID-01", "ID-03", "ID-06")
async def test_one_signs_up_signs_out_and_signs_in_again(rooms: Rooms, browser: Browser) -> None:
    answer = await browser.sign_up()
    assert (answer.status, answer.headers["location"]) == (303, "/account")
    account = await browser.get("/account")
    assert (account.status, f"Signed in as {EMAIL}" in account.text, "Acme" in account.text) == (
        200,
        True,
        True,
    )
    token = dict(browser.http.cookies)["bartizan"]
    out = await browser.send(account, action="/sign-out")
    assert out.headers["location"] == "/sign-in?told=out"
    assert "bartizan" not in browser.http.cookies
    assert (await Browser(rooms).get("/account", cookie=f"bartizan={token}")).status == 303
    page = await browser.open("/account")
    assert (page.status, page.path) == (200, "/sign-in")
    again = await browser.send(page, login=EMAIL, password=PASSWORD)
    assert again.headers["location"] == "/account"
    assert (await browser.get("/account")).status == 200
    assert (await browser.get("/sign-in")).headers["location"] == "/account"


@pytest.mark.feature("ID-16")
@pytest.mark.parametrize(("secure", "name"), [(False, "bartizan"), (True, "__Host-bartizan")])
async def test_the_session_cookie_is_out_of_reach(
    database: Database, clock: ManualClock, *, secure: bool, name: str
) -> None:
    answer = await Browser(Rooms(database, clock, secure=secure)).sign_up()
    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith(f"{name}="))
    flags = cookie.partition("; ")[2].split("; ")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(flags)
    assert ("Secure" in flags) == secure
    assert not any(flag.startswith("Domain") for flag in flags)


async def test_a_wrong_answer_is_the_same_for_everybody(rooms: Rooms, browser: Browser) -> None:
    await browser.sign_up()
    stranger = Browser(rooms, address="198.51.100.7")
    wrong, unknown = (
        await sign_in(stranger, password="wrong"),
        await sign_in(stranger, login="nobody@x.example"),
    )
    assert wrong.status == unknown.status == 422
    hide = re.compile(r'value="[^"]*"|nonce="[^"]*"')
    assert hide.sub("", wrong.html) == hide.sub("", unknown.html)
    assert "That does not match." in wrong.text
    assert 'value="ada@acme.example"' in wrong.html
    assert "wrong" not in re.findall(r'value="([^"]*)"', wrong.html)
    assert 'role="alert"' in wrong.html


async def test_too_many_attempts_are_told_how_long_to_wait(rooms: Rooms, browser: Browser) -> None:
    await browser.sign_up()
    stranger = Browser(rooms, address="198.51.100.7")
    for _ in range(5):
        await sign_in(stranger, password="wrong")
    assert "Too many attempts. Wait 15 minutes" in (await sign_in(stranger)).text


async def test_what_is_missing_is_said_at_the_field_and_above(browser: Browser) -> None:
    answer = await browser.send(
        await browser.get("/sign-up"), email="", password="", full_name="Ada", organization=""
    )
    fields = answer.document
    assert answer.status == 422
    assert answer.html.index("<title>Error: ") < answer.html.index("<body>")
    [email] = fields.all("input", name="email")
    assert (email["aria-invalid"], email["aria-describedby"]) == ("true", "email-wrong")
    assert fields.all("a", href="#email")
    assert "Enter your e-mail address" in answer.text
    assert fields.all("input", name="full_name")[0]["value"] == "Ada"
    [summary] = fields.all("div", role="alert")
    assert "autofocus" in summary


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"email": "nobody", "password": PASSWORD}, "e-mail address"),
        ({"email": EMAIL, "password": "password1234"}, "password is"),
        ({"email": EMAIL, "password": "short"}, "10"),
        ({"email": EMAIL, "password": "x" * 200}, "longer than 128"),
    ],
)
async def test_what_a_service_refuses_is_said_at_the_field(
    browser: Browser, values: dict[str, str], said: str
) -> None:
    answer = await browser.send(await browser.get("/sign-up"), full_name="", organization="Acme", **values)
    wrong = "email" if values["email"] != EMAIL else "password"
    assert answer.status == 422
    assert answer.document.all("p", id=f"{wrong}-wrong")
    assert said in answer.text


@pytest.mark.feature("ID-12")
async def test_a_forgotten_password_is_set_anew_by_mail(rooms: Rooms, browser: Browser) -> None:
    await browser.sign_up()
    stranger = Browser(rooms, address="198.51.100.7")
    known = await stranger.send(await stranger.get("/forgot"), email=EMAIL)
    unknown = await stranger.send(await stranger.get("/forgot"), email="nobody@x.example")
    assert known.status == unknown.status == 200
    assert known.text.replace(EMAIL, "") == unknown.text.replace("nobody@x.example", "")
    link = httpx.URL(await rooms.link("/reset"))
    page = await stranger.get(f"{link.raw_path.decode()}")
    assert page.headers["referrer-policy"] == "strict-origin"
    weak = await stranger.send(page, password="short")
    assert weak.status == 422
    done = await stranger.send(weak, password="another-fine-battery")
    assert done.headers["location"] == "/sign-in?told=password"
    assert (await browser.open("/account")).path == "/sign-in"
    assert (await sign_in(stranger)).status == 422
    assert (await sign_in(stranger, password="another-fine-battery")).headers["location"] == "/account"
    again = await Browser(rooms).send(page, password="one-more-battery")
    assert again.status in {403, 422}


@pytest.mark.feature("ID-11")
async def test_an_address_is_confirmed_by_a_button_and_not_by_opening_the_link(
    rooms: Rooms, browser: Browser
) -> None:
    await browser.sign_up()
    link = httpx.URL(await hidden(rooms, browser, "/verify/again"))
    page = await browser.get(link.raw_path.decode())
    user = await rooms.identity.find_by_email(EMAIL)
    assert (page.status, user and user.email_verified_at) == (200, None)
    done = await browser.send(page)
    assert done.headers["location"] == "/sign-in?told=verified"
    user = await rooms.identity.find_by_email(EMAIL)
    assert user is not None
    assert user.email_verified_at is not None
    again = await browser.send(page)
    assert (again.status, "no longer good" in again.text) == (422, True)


@pytest.mark.feature("ID-07")
async def test_one_sees_and_ends_ones_sessions(rooms: Rooms, browser: Browser) -> None:
    await browser.sign_up()
    other = Browser(rooms, address="198.51.100.7")
    assert (await sign_in(other)).status == 303
    account = await browser.get("/account")
    ends = account.document.all("form", action="/account/sessions/end")
    [session_id] = [field["value"] for field in account.document.all("input", name="session_id")]
    assert len(ends) == 1
    ended = await browser.send(account, action="/account/sessions/end", session_id=str(session_id))
    assert ended.headers["location"] == "/account?told=ended"
    page = await other.open("/account")
    assert (page.path, "Your session has ended" in page.text) == ("/sign-in", True)
    await sign_in(other)
    await browser.send(await browser.get("/account"), action="/account/sessions/end-others")
    assert (await other.open("/account")).path == "/sign-in"
    assert (await browser.get("/account")).status == 200


async def test_ones_profile_and_password_change(browser: Browser) -> None:
    await browser.sign_up()
    account = await browser.get("/account")
    saved = await browser.send(account, action="/account/profile", full_name="Ada King", username="ada")
    assert saved.headers["location"] == "/account?told=profile"
    account = await browser.open("/account?told=profile")
    assert account.document.all("input", name="full_name")[0]["value"] == "Ada King"
    assert account.document.all("p", role="status")
    bad = await browser.send(account, action="/account/profile", full_name="Ada", username="not a name")
    assert (bad.status, bad.document.all("input", name="username")[0]["value"]) == (422, "not a name")
    wrong = await browser.send(
        account, action="/account/password", current_password="wrong", new_password="another-fine-battery"
    )
    assert (wrong.status, bool(wrong.document.all("p", id="current_password-wrong"))) == (422, True)
    done = await browser.send(
        account, action="/account/password", current_password=PASSWORD, new_password="another-fine-battery"
    )
    assert done.headers["location"] == "/account?told=password"
    assert (await browser.get("/account")).status == 200


async def test_a_key_is_shown_once_and_revoked(browser: Browser) -> None:
    await browser.sign_up()
    nameless = await browser.send(
        await browser.get("/account"), action="/account/keys", name=" ", scope="read"
    )
    assert (nameless.status, "Give the key a name" in nameless.text) == (422, True)
    made = await browser.send(nameless, action="/account/keys", name="nightly", scope="all")
    [secret] = re.findall(r"btz_live_\w{36}", made.html)
    assert made.status == 200
    account = await browser.get("/account")
    assert secret not in account.html
    assert "nightly" in account.text
    [key_id] = [field["value"] for field in account.document.all("input", name="key_id")]
    gone = await browser.send(account, action="/account/keys/revoke", key_id=str(key_id))
    assert gone.headers["location"] == "/account?told=revoked"
    account = await browser.get("/account")
    assert "Revoked" in account.text
    assert account.document.all("input", name="key_id") == []


async def test_the_audit_log_shows_what_happened(browser: Browser) -> None:
    await browser.sign_up()
    await browser.send(await browser.get("/account"), action="/account/keys", name="nightly", scope="read")
    log = await browser.get("/organization/audit")
    assert (log.status, "api_key.issued" in log.text) == (200, True)


async def test_the_look_is_the_organizations(rooms: Rooms, browser: Browser) -> None:
    await browser.sign_up()
    principal = await rooms.sessions.authenticate(browser.http.cookies["bartizan"])
    with current.as_system(principal.org_id):
        for key, value in (("brand.hue", 150), ("brand.name", "Rockets & Co")):
            await rooms.preferences.set(key, PreferenceChange(value=value), "organization")
    page = await browser.get("/account")
    [nonce] = re.findall(r'<style nonce="([^"]+)">:root { --hue: 150.0 }', page.html)
    assert f"'nonce-{nonce}'" in page.headers["content-security-policy"]
    assert "<title>Account · Rockets &amp; Co</title>" in page.html
    assert "--hue: 150" not in (await Browser(rooms).get("/sign-in")).html


async def test_a_session_ends_by_time_and_says_so(rooms: Rooms, browser: Browser, clock: ManualClock) -> None:
    await browser.sign_up()
    clock.advance(timedelta(days=400).total_seconds())
    page = await browser.open("/account")
    assert (page.path, "Your session has ended. Sign in again" in page.text) == ("/sign-in", True)
    assert (await browser.send(page, login=EMAIL, password=PASSWORD)).headers["location"] == "/account"


@pytest.mark.parametrize("mount", ["", "/_bartizan"])
async def test_every_address_on_a_page_lies_below_the_mount(
    database: Database, clock: ManualClock, mount: str
) -> None:
    browser = Browser(Rooms(database, clock, mount=mount))
    home = "/" if mount else "/account"
    assert (await browser.sign_up()).headers["location"] == home
    for path in ("/account", "/organization", "/choose", "/sign-out", "/no/such/page"):
        page = await browser.get(f"{mount}{path}")
        found = re.findall(r'(?:href|action|src)="([^"#]+)"', page.html)
        assert len(found) >= 3
        assert all(address.startswith(f"{mount}/") for address in found), (path, found)
        for asset in (address for address in found if "/static/" in address):
            answer = await browser.get(asset)
            assert (answer.status, "immutable" in answer.headers["cache-control"]) == (200, True)


async def test_the_base_path_leads_to_where_one_belongs(browser: Browser) -> None:
    assert (await browser.get("/")).headers["location"] == "/sign-in"
    await browser.sign_up()
    assert (await browser.get("/")).headers["location"] == "/account"


async def test_the_first_owner_comes_by_a_link_that_works_once(rooms: Rooms, browser: Browser) -> None:
    with current.as_system():
        link = httpx.URL(await rooms.sessions.owner_link())
    page = await browser.get(link.raw_path.decode())
    values = {"email": EMAIL, "full_name": "Ada", "organization": "Acme"}
    weak = await browser.send(page, password="short", **values)
    assert (weak.status, bool(weak.document.all("p", id="password-wrong"))) == (422, True)
    made = await browser.send(weak, password=PASSWORD, **values)
    assert made.headers["location"] == "/account"
    user = await rooms.identity.find_by_email(EMAIL)
    assert user is not None
    assert (user.is_operator, user.email_verified_at) == (True, rooms.clock.now())
    late = Browser(rooms)
    again = await late.send(
        await late.get(link.raw_path.decode()), password=PASSWORD, **values | {"email": "b@x.example"}
    )
    assert (again.status, "bartizan owner link" in again.text) == (422, True)


@pytest.mark.parametrize("forged", [True, False])
async def test_an_owners_link_that_is_forged_or_old_is_refused(
    rooms: Rooms, browser: Browser, clock: ManualClock, *, forged: bool
) -> None:
    with current.as_system():
        link = httpx.URL(await rooms.sessions.owner_link(minutes=30))
    token = link.params["token"]
    page = await browser.get(f"/owner?token={token[:-4] + 'AAAA' if forged else token}")
    clock.advance(0 if forged else 1801)
    cut = await browser.send(
        await browser.get("/owner?token=x"), email=EMAIL, full_name="", password=PASSWORD
    )
    assert "The link is not complete." in cut.text
    answer = await browser.send(page, email=EMAIL, full_name="", password=PASSWORD, organization="Acme")
    assert (answer.status, "bartizan owner link" in answer.text) == (422, True)
    assert await rooms.identity.find_by_email(EMAIL) is None
