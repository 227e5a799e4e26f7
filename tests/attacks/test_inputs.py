"""Whatever arrives in a header, cursor, path or the environment: an answer or a refusal, never a crash."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bartizan.doors.guard.callers import Callers
from bartizan.doors.guard.policy import Policy
from bartizan.doors.guard.request import Proxies, comes_from_us, read_cookie, without_cookies
from bartizan.doors.http.bodies import depth, is_text
from bartizan.doors.testing import Cast
from bartizan.foundation import pages
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.errors import Unauthenticated
from bartizan.foundation.settings import InvalidSettings, load
from bartizan.house import Bartizan, Settings

QUICK = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
RAW = st.binary(max_size=200).filter(lambda raw: b"\0" not in raw)
NAMES = st.sampled_from(
    [
        b"authorization",
        b"cookie",
        b"x-api-key",
        b"x-forwarded-for",
        b"x-forwarded-proto",
        b"host",
        b"origin",
        b"referer",
        b"sec-fetch-site",
        b"x-org-id",
        b"x-team-id",
    ]
)
TOKENS = st.one_of(
    RAW,
    RAW.map(lambda raw: b"Bearer " + raw),
    RAW.map(lambda raw: b"Bearer btz_live_" + raw),
    RAW.map(lambda raw: b"bartizan=" + raw),
    st.from_regex(rb"https?://[\[\]:@/?#a-z0-9%.-]{0,40}", fullmatch=True),
    st.from_regex(rb"\[?[0-9a-f:.%]{0,40}\]?(:\d{0,6})?(, ?[0-9a-f:.]{0,20}){0,4}", fullmatch=True),
)
HEADERS = st.lists(st.tuples(NAMES, TOKENS), max_size=6)


@QUICK
@given(headers=HEADERS)
async def test_no_header_is_a_credential_by_accident(
    bartizan_settings: dict[str, Any], headers: list[Any]
) -> None:
    house = Bartizan(bartizan_settings)
    callers = Callers(
        house.sessions, house.api_keys, house.orgs, clock=ManualClock(), ttl=5, cookie="bartizan"
    )
    found = callers.credential(headers)
    if found is not None:
        assert any(name in {b"authorization", b"cookie", b"x-api-key"} for name, _ in headers)
        assert isinstance(found.secret, str)
    house.identity.close()
    await house.database.close()


@pytest.mark.feature("CORE-02")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(headers=HEADERS)
async def test_no_header_lets_anybody_in(bz: Bartizan, headers: list[Any]) -> None:
    callers = Callers(bz.sessions, bz.api_keys, bz.orgs, clock=bz.clock, ttl=5, cookie="bartizan")
    if (found := callers.credential(headers)) is not None:
        with pytest.raises(Unauthenticated):
            await callers.caller(found, headers)


@QUICK
@given(peer=st.one_of(st.none(), st.text(max_size=60), st.just("10.1.1.1")), headers=HEADERS)
def test_the_client_is_a_text_or_unknown(peer: str | None, headers: list[Any]) -> None:
    proxies = Proxies(["10.0.0.0/8", "fd00::/8"])
    client = proxies.client(peer, headers)
    assert client is None or isinstance(client, str)
    if not proxies.trust(peer):
        untold = proxies.client(peer, [])
        assert client == untold, "a header counted that no proxy of ours sent"
        assert proxies.scheme(peer, headers, "http") == "http"
    assert proxies.scheme(peer, headers, "ws") in {"ws", "wss"}


@QUICK
@given(headers=HEADERS, name=st.sampled_from(["bartizan", "__Host-bartizan", ""]))
def test_a_cookie_is_one_or_none_and_never_reaches_the_app(headers: list[Any], name: str) -> None:
    found = read_cookie(headers, name)
    assert found is None or found
    kept = without_cookies(headers, frozenset({name}))
    assert read_cookie(kept, name) is None


@QUICK
@given(
    method=st.one_of(st.sampled_from(["GET", "POST", "get", ""]), st.text(max_size=10)),
    path=st.one_of(st.text(max_size=60), st.text(max_size=40).map(lambda rest: "/static/" + rest)),
)
def test_a_path_needs_something_unless_it_is_plainly_public(method: str, path: str) -> None:
    policy = Policy(["/ping", "/static/*"], ["POST /search"])
    need = policy.need(method, path)
    assert need in {"nothing", "app:read", "app:write"}
    if need == "nothing":
        assert path == "/ping" or path.startswith("/static/")
        assert not {"", ".", ".."} & set(path.split("/")[1:-1])
        assert "\\" not in path
    if need == "app:read":
        assert method in {"GET", "HEAD", "OPTIONS"} or (method, path) == ("POST", "/search")


@QUICK
@given(headers=HEADERS, scheme=st.sampled_from(["http", "https", "ws", "wss"]))
def test_no_other_site_is_taken_for_ours(headers: list[Any], scheme: str) -> None:
    ours = comes_from_us(scheme, headers)
    assert isinstance(ours, bool)
    evil = [(b"origin", b"https://evil.example"), *[h for h in headers if h[0] not in {b"origin", b"host"}]]
    assert not comes_from_us(scheme, [(b"host", b"app.test"), *evil])


@QUICK
@given(cursor=st.text(max_size=400), size=st.integers(1, 3))
def test_a_cursor_is_read_or_refused(cursor: str, size: int) -> None:
    try:
        values = pages.decode(cursor, size)
    except pages.InvalidCursor:
        return
    assert len(values) == size
    assert all(isinstance(value, str) for value in values)


@QUICK
@given(values=st.lists(st.text(max_size=40), min_size=1, max_size=3))
def test_a_cursor_that_was_given_is_read(values: list[str]) -> None:
    assert pages.decode(pages.encode(values), len(values)) == values


@QUICK
@given(body=st.one_of(RAW, st.text(alphabet='"\\u0d8cefF{}[]', max_size=60).map(str.encode)))
def test_a_body_has_a_depth_and_is_text_or_not(body: bytes) -> None:
    assert depth(body) >= 0
    assert isinstance(is_text(body), bool)


VARIABLES = st.sampled_from(
    [
        "BARTIZAN_DATABASE",
        "BARTIZAN_SECRET_KEY",
        "BARTIZAN_MOUNT",
        "BARTIZAN_BASE_URL",
        "BARTIZAN_ENVIRONMENT",
        "BARTIZAN_GUARD__TRUSTED_PROXIES",
        "BARTIZAN_GUARD__MAX_BODY",
        "BARTIZAN_METRICS_FROM",
        "BARTIZAN_EMAIL__BACKEND",
        "BARTIZAN_SESSIONS__ACCESS_MINUTES",
        "BARTIZAN_NO_SUCH",
        "BARTIZAN_",
        "BARTIZAN___",
        "BARTIZAN_GUARD",
        "bartizan_mount",
    ]
)


@QUICK
@given(
    environ=st.dictionaries(VARIABLES, st.text(max_size=60), max_size=4),
    env_file=st.one_of(st.none(), st.binary(max_size=120)),
    toml=st.one_of(st.none(), st.binary(max_size=120), st.text(max_size=80).map(str.encode)),
)
def test_settings_are_loaded_or_refused(
    tmp_path: Path, environ: dict[str, str], env_file: bytes | None, toml: bytes | None
) -> None:
    for name, content in ((".env", env_file), ("bartizan.toml", toml)):
        (tmp_path / name).unlink(missing_ok=True)
        if content is not None:
            (tmp_path / name).write_bytes(content)
    try:
        loaded = load(Settings, environ=environ, directory=tmp_path)
    except InvalidSettings:
        return
    assert isinstance(loaded.settings, Settings)


async def test_the_right_credential_is_let_in_by_the_same_door(bz: Bartizan) -> None:
    cast = Cast(bz)
    person = await cast.person(await cast.organization())
    callers = Callers(bz.sessions, bz.api_keys, bz.orgs, clock=bz.clock, ttl=5, cookie="bartizan")
    headers = [(b"cookie", f"bartizan={person.token}".encode())]
    found = callers.credential(headers)
    assert found is not None
    assert (await callers.caller(found, headers)).user_id == person.id
