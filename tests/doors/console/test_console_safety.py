"""What must fail at the pages: other sites' forms, redirects elsewhere, foreign content, strange requests."""

import re
from pathlib import Path

import httpx
import pytest

from bartizan.doors.console.safety import FormTokens, policy, safe_next
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.database import Database
from tests.doors.console.pages import ORIGIN, PASSWORD, Browser, Rooms
from tests.harness.keys import keyring

EMAIL = "ada@acme.example"
PAGES = (
    "/sign-in",
    "/sign-up",
    "/forgot",
    "/reset?token=x",
    "/verify?token=x",
    "/verify/again",
    "/owner?token=x",
)
INSIDE = ("/account", "/organization", "/organization/audit", "/choose", "/sign-out", "/nowhere")
ELSEWHERE = [
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https://evil.example",
    "https:evil.example",
    "http:/evil.example",
    "javascript:alert(1)",
    "/\t/evil.example",
    "/\n/evil.example",
    "/x\r\nSet-Cookie: a=b",
    "\t//evil.example",
    " //evil.example",
    "evil.example",
    "/\x00",
    "/\u2028",
    "/" + "x" * 2001,
    "",
]


@pytest.fixture
def rooms(database: Database, clock: ManualClock) -> Rooms:
    return Rooms(database, clock)


@pytest.fixture
def browser(rooms: Rooms) -> Browser:
    return Browser(rooms)


@pytest.mark.parametrize("address", ELSEWHERE)
def test_no_spelling_of_another_site_is_taken_for_a_path(address: str) -> None:
    assert safe_next(address) is None


@pytest.mark.parametrize("address", ["/", "/reports?week=3&x=//y", "/a/b#c", "/%2f%2fevil.example", "/ü"])
def test_a_path_of_our_own_is_kept(address: str) -> None:
    assert safe_next(address) == address


@pytest.mark.parametrize("address", [*ELSEWHERE[:13], "/[", "/reports?week=3"])
async def test_signing_in_leads_to_our_own_origin_only(browser: Browser, address: str) -> None:
    await browser.sign_up()
    await browser.send(await browser.get("/account"), action="/sign-out")
    page = await browser.get(f"/sign-in?{httpx.QueryParams(next=address)}")
    [kept] = page.document.all("input", name="next")
    answer = await browser.post(
        "/sign-in",
        csrf=str(page.document.all("input", name="csrf")[0]["value"]),
        login=EMAIL,
        password=PASSWORD,
        next=address,
    )
    location = answer.headers["location"]
    resolved = httpx.URL(ORIGIN).join(location)
    assert (answer.status, resolved.host, "set-cookie: a" in location.lower()) == (303, "app.test", False)
    assert location in {"/account", "/[", "/reports?week=3"}
    assert kept["value"] in {"", location}


async def test_a_form_of_another_site_is_refused(rooms: Rooms, browser: Browser) -> None:
    await browser.sign_up()
    account = await browser.get("/account")
    token = str(account.document.all("input", name="csrf")[0]["value"])
    form = {"full_name": "Mallory", "username": ""}
    for headers, data in (
        ({"origin": ORIGIN}, form),
        ({"origin": ORIGIN}, {**form, "csrf": ""}),
        ({"origin": ORIGIN}, {**form, "csrf": token[:-1] + "x"}),
        ({"origin": ORIGIN}, {**form, "csrf": "\u00fc"}),
        ({"origin": "https://evil.example"}, {**form, "csrf": token}),
        ({"origin": "null"}, {**form, "csrf": token}),
        ({"sec-fetch-site": "cross-site"}, {**form, "csrf": token}),
        ({"sec-fetch-site": "same-site"}, {**form, "csrf": token}),
    ):
        answer = await browser.http.post("/account/profile", data=data, headers=headers)
        assert answer.status_code == 403, (headers, data)
    assert "Mallory" not in (await browser.get("/account")).html
    bare = await browser.http.post("/account/profile", data={**form, "csrf": token})
    assert bare.status_code == 303


async def test_nobody_is_signed_in_by_another_sites_form(rooms: Rooms, browser: Browser) -> None:
    await browser.sign_up()
    victim, mallory = Browser(rooms), Browser(rooms)
    form = await mallory.get("/sign-in")
    token = str(form.document.all("input", name="csrf")[0]["value"])
    data = {"login": EMAIL, "password": PASSWORD, "csrf": token}
    assert (await victim.http.post("/sign-in", data=data)).status_code == 403
    await victim.get("/sign-in")
    assert (await victim.http.post("/sign-in", data=data)).status_code == 403
    assert "bartizan" not in victim.http.cookies


async def test_anothers_form_token_does_not_work_in_my_session(rooms: Rooms, browser: Browser) -> None:
    await browser.sign_up()
    other = Browser(rooms)
    await other.sign_up("ben@x.example", "Bens")
    token = str((await other.get("/account")).document.all("input", name="csrf")[0]["value"])
    answer = await browser.post("/account/profile", csrf=token, full_name="Mallory")
    assert answer.status == 403


def test_a_form_token_belongs_to_its_cookie() -> None:
    tokens = FormTokens(keyring())
    cookie = tokens.new()
    assert tokens.good(cookie, tokens.token(cookie))
    assert not tokens.good(tokens.new(), tokens.token(cookie))
    assert not tokens.good(None, tokens.token(""))
    assert not tokens.good(cookie, "not hexadecimal")
    assert not tokens.good(cookie, "")


async def test_every_page_says_what_it_may_load_and_that_it_is_not_to_be_kept(browser: Browser) -> None:
    answers = [await browser.get(path) for path in PAGES]
    await browser.sign_up()
    answers += [await browser.get(path) for path in INSIDE]
    nonces = set()
    for page in answers:
        rules = page.headers["content-security-policy"]
        assert "default-src 'none'" in rules
        assert "frame-ancestors 'none'" in rules
        assert "unsafe" not in rules
        assert "script-src" not in rules
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "strict-origin"
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["x-content-type-options"] == "nosniff"
        [nonce] = re.findall(r"'nonce-([^']+)'", rules)
        assert f'nonce="{nonce}"' in page.html
        nonces.add(nonce)
        tags = page.document
        assert tags.all("script") == []
        assert not any("style" in attributes for _, attributes in tags.tags)
        assert not any(name.startswith("on") for _, attributes in tags.tags for name in attributes)
        assert 'src="http' not in page.html
    assert len(nonces) == len(answers)


def test_a_logo_opens_its_own_origin_for_images_alone() -> None:
    rules = policy("n", image="https://cdn.acme.example/logo.png?x=;script-src *")
    assert "img-src 'self' https://cdn.acme.example;" in rules
    assert "*" not in rules


async def test_every_field_has_a_label_and_says_what_fills_it(browser: Browser) -> None:
    answers = [await browser.get(path) for path in PAGES]
    await browser.sign_up()
    answers += [await browser.get(path) for path in ("/account", "/organization")]
    for page in answers:
        tags = page.document
        labels = {label["for"] for label in tags.all("label") if "for" in label}
        ids = [a["id"] for _, a in tags.tags if "id" in a]
        assert len(ids) == len(set(ids)), page.path
        for field in [*tags.all("input"), *tags.all("select")]:
            if field.get("type") in {"hidden", "checkbox"} or field.get("aria-hidden"):
                continue
            assert field["id"] in labels, (page.path, field)
            if "name" in field and field.get("type") != "text":
                assert field.get("autocomplete") or str(field["id"]).startswith(("role", "scope")), (
                    page.path,
                    field,
                )
        assert len(tags.all("h1")) == 1
        assert tags.all("html", lang="en")
        assert tags.all("main", id="content")
    signing_in = answers[0].document
    assert signing_in.all("input", name="login")[0]["autocomplete"] == "username"
    assert signing_in.all("input", name="password")[0]["autocomplete"] == "current-password"
    assert answers[1].document.all("input", name="password")[0]["autocomplete"] == "new-password"


async def test_a_password_is_never_sent_back(browser: Browser) -> None:
    page = await browser.get("/sign-up")
    answer = await browser.send(
        page, email="bad", password="my-secret-words", full_name="Ada", organization=""
    )
    assert (answer.status, "my-secret-words" in answer.html) == (422, False)


async def test_what_people_typed_is_text_and_never_markup(browser: Browser) -> None:
    evil = '"><script>alert(1)</script>'
    page = await browser.get(f"/sign-in?{httpx.QueryParams(next=evil, told=evil)}")
    assert "<script" not in page.html
    answer = await browser.send(page, login=evil, password="x")
    assert "<script" not in answer.html
    await browser.sign_up(organization=evil)
    for path in ("/account", "/organization", "/choose"):
        page = await browser.get(path)
        assert "alert(1)" in page.html
        assert "<script" not in page.html


@pytest.mark.parametrize(
    "path",
    ["/account", "/account/keys", "/organization", "/organization/audit", "/choose"],
)
async def test_without_a_session_one_comes_to_sign_in_and_back(browser: Browser, path: str) -> None:
    answer = await browser.get(path)
    expected = 404 if path == "/account/keys" else 303
    assert answer.status == expected
    if expected == 303:
        assert answer.headers["location"] == f"/sign-in?{httpx.QueryParams(next=path)}"


async def test_a_form_that_is_no_form_is_refused(browser: Browser) -> None:
    page = await browser.get("/sign-in")
    token = str(page.document.all("input", name="csrf")[0]["value"])
    for content, kind in (
        (b'{"login": "x"}', "application/json"),
        (b"csrf=" + token.encode() + b"&login=" + b"x" * 70_000, "application/x-www-form-urlencoded"),
        (b"&".join(b"a%d=1" % n for n in range(100)), "application/x-www-form-urlencoded"),
        (b"login=%ff", "application/x-www-form-urlencoded"),
        ("login=ü".encode(), "application/x-www-form-urlencoded"),
        (b"login=a%00b", "application/x-www-form-urlencoded"),
        (b"", ""),
    ):
        answer = await browser.http.post("/sign-in", content=content, headers={"content-type": kind})
        assert answer.status_code == 422, (content[:40], kind)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
async def test_other_methods_are_refused(browser: Browser, method: str) -> None:
    assert (await browser.http.request(method, "/sign-in")).status_code == 405


async def test_a_head_request_gets_the_headers_alone(browser: Browser) -> None:
    answer = await browser.http.head("/sign-in")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "console.css",
        "../app.py",
        "..%2fapp.py",
        "%2e%2e/app.py",
        "//etc/passwd",
        "mark.svg/",
        "\\..\\app.py",
    ],
)
async def test_only_the_files_we_named_are_served(browser: Browser, name: str) -> None:
    answer = await browser.http.get(httpx.URL(ORIGIN, raw_path=f"/static/{name}".encode()))
    assert answer.status_code == 404


async def test_no_path_answers_for_a_post_that_has_none(browser: Browser) -> None:
    assert (await browser.post("/account", csrf="x")).status == 404
    assert (await browser.post("/nowhere", csrf="x")).status == 404


async def test_a_session_sent_twice_counts_for_nothing(rooms: Rooms, browser: Browser) -> None:
    await browser.sign_up()
    token = browser.http.cookies["bartizan"]
    other = Browser(rooms)
    assert (await other.get("/account", cookie=f"bartizan={token}; bartizan={token}")).status == 303
    assert (await other.get("/account", cookie=f"bartizan={token}")).status == 200


def test_the_style_sheet_is_small_and_asks_nobody_else() -> None:
    css = (Path(__file__).parents[3] / "src/bartizan/doors/console/static/console.css").read_text()
    assert len(css.encode()) < 12_000
    assert "url(" not in css
    assert "@import" not in css
