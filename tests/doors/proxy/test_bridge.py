"""What the app is told of who is asking: its own words, only from the gate, and never shown to the caller."""

import json
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey
from pydantic import ValidationError

from bartizan.doors.frameworks import Wrapped
from bartizan.doors.guard.bridge import Bridge, NotTellable
from bartizan.doors.proxy import Proxy
from bartizan.doors.testing import Cast
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller, current
from bartizan.foundation.crypto import UnusableKey
from bartizan.foundation.settings import BridgeSettings, InvalidSettings, describe
from bartizan.house import Bartizan, Settings
from tests.doors.proxy.upstreams import say, scripted, told
from tests.doors.served import served

ADA = Caller(
    id="usr_1",
    kind="user",
    user_id="usr_1",
    org_id="org_1",
    email="ada@example.com",
    roles=frozenset({"owner", "admin"}),
    session_id="ses_1",
)
SHARED = secrets.token_urlsafe(48)
PEM = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def bridge(clock: ManualClock | None = None, **settings: Any) -> Bridge:
    return Bridge(BridgeSettings(**settings), clock=clock or ManualClock())


def said(found: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in found}


@pytest.mark.feature("X-23")
def test_an_app_hears_of_people_in_headers_of_its_choice() -> None:
    made = bridge(
        headers={
            "X-Forwarded-User": "{email}",
            "Remote-User": "{user_id}@{org_id}",
            "X-Roles": "{roles}",
            "X-Operator": "{operator}",
            "X-Team": "{team_id}",
            "X-Braces": "{{{kind}}}",
        },
        secret_headers={"X-Api-Key": "the apps own"},
        remote_user="{email}",
    )
    assert said(made.headers(ADA)) == {
        "x-api-key": "the apps own",
        "x-forwarded-user": "ada@example.com",
        "remote-user": "usr_1@org_1",
        "x-roles": "admin,owner",
        "x-operator": "false",
        "x-braces": "{user}",
    }
    assert made.environ(ADA) == {"REMOTE_USER": "ada@example.com"}
    assert made.names == {
        b"x-forwarded-user",
        b"remote-user",
        b"x-roles",
        b"x-operator",
        b"x-team",
        b"x-braces",
        b"x-api-key",
    }


@pytest.mark.feature("X-23")
def test_nobody_is_told_as_nobody_and_lies_are_taken_out() -> None:
    made = bridge(
        headers={"X_User": "{email}", "X-Team": "{team_id}"}, secret_headers={"Authorization": "Basic eA=="}
    )
    lies = [
        (b"x-user", b"root"),
        (b"X_USER", b"root"),
        (b"x-team", b"a"),
        (b"authorization", b"b"),
        (b"accept", b"c"),
    ]
    assert made.headers(None) == []
    assert made.environ(None) == {}
    assert made.dress(lies, None) == [(b"accept", b"c")]
    dressed = made.dress(lies, ADA)
    assert dressed == [(b"accept", b"c"), (b"authorization", b"Basic eA=="), (b"x_user", b"ada@example.com")]
    plain = bridge()
    assert plain.names == frozenset()
    assert plain.dress(lies, ADA) == lies
    assert plain.environ(ADA) == {}


def keys() -> dict[str, tuple[str, Any]]:
    """By algorithm: what the settings hold, and what the app checks with."""
    own_rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    own_ec = ec.generate_private_key(ec.SECP256R1())
    texts = {name: key.private_bytes(*PEM).decode() for name, key in (("RS256", own_rsa), ("ES256", own_ec))}
    return {
        "HS256": (SHARED, OctKey.import_key(SHARED)),
        "RS256": (texts["RS256"], RSAKey.import_key(texts["RS256"])),
        "ES256": (texts["ES256"], ECKey.import_key(texts["ES256"])),
    }


KEYS = keys()


@pytest.mark.feature("X-23")
@pytest.mark.parametrize("algorithm", KEYS)
def test_an_app_that_wants_a_token_gets_one_it_can_check(algorithm: str) -> None:
    key, check = KEYS[algorithm]
    clock = ManualClock()
    made = bridge(
        clock,
        token_header="Authorization",
        token_algorithm=algorithm,
        token_key=key,
        token_key_id="k1",
        token_issuer="gate",
        token_audience="app",
        token_lifetime=100,
        token_claims={
            "sub": "{user_id}",
            "name": "{email} of {org_id}",
            "team": "{team_id}",
            "roles": "{roles}",
            "app": {"org": "{org_id}", "team": "{team_id}", "tags": ["{kind}", "{team_id}"], "level": 3},
        },
    )
    scheme, _, token = said(made.headers(ADA))["authorization"].partition(" ")
    assert scheme == "Bearer"
    decoded = jwt.decode(token, check, algorithms=[algorithm])
    now = int(clock.now().timestamp())
    assert decoded.header == {"alg": algorithm, "typ": "JWT", "kid": "k1"}
    claims = dict(decoded.claims)
    assert claims.pop("jti")
    assert claims == {
        "sub": "usr_1",
        "name": "ada@example.com of org_1",
        "roles": ["admin", "owner"],
        "app": {"org": "org_1", "tags": ["user"], "level": 3},
        "iss": "gate",
        "aud": "app",
        "iat": now,
        "nbf": now,
        "exp": now + 100,
    }


@pytest.mark.feature("X-23")
def test_a_token_is_kept_until_it_is_nearly_over_and_is_one_callers_alone() -> None:
    clock = ManualClock()
    made = bridge(clock, token_header="X-Token", token_key=SHARED, token_prefix="", token_lifetime=100)
    first = made.headers(ADA)
    clock.advance(79)
    assert made.headers(replace(ADA)) is first
    clock.advance(2)
    assert made.headers(ADA) != first
    assert made.headers(replace(ADA, session_id="ses_2")) != made.headers(ADA)
    demoted = said(made.headers(replace(ADA, roles=frozenset())))["x-token"]
    assert jwt.decode(demoted, OctKey.import_key(SHARED), algorithms=["HS256"]).claims["roles"] == []


def test_the_memory_of_callers_is_bounded() -> None:
    made = bridge(headers={"X-User": "{user_id}"})
    for number in range(10_050):
        made.headers(replace(ADA, user_id=f"usr_{number}"))
    assert len(made._known) == 10_000


@pytest.mark.feature("X-23")
@pytest.mark.parametrize("evil", ["a@b\r\nx-admin: 1", "a@b\n", "a\rb", "a\0b", "a\x7fb"])
def test_a_name_cannot_end_its_line(evil: str) -> None:
    made = bridge(headers={"X-User": "{email}"}, remote_user="{email}")
    with pytest.raises(NotTellable) as refused:
        made.headers(replace(ADA, email=evil))
    assert evil not in str(refused.value)
    with pytest.raises(NotTellable):
        made.environ(replace(ADA, email=evil))
    assert said(made.headers(replace(ADA, email="zoë@example.com"))) == {"x-user": "zoë@example.com"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"headers": {"X User": "{email}"}},
        {"headers": {"X-User": "{password}"}},
        {"headers": {"X-User": "{email.__class__}"}},
        {"headers": {"X-User": "{email!r}"}},
        {"headers": {"X-User": "{email:>9}"}},
        {"headers": {"X-User": "{email"}},
        {"headers": {"X-User": "{}"}},
        {"headers": {"X-User": "a\r\nb"}},
        {"headers": {"Content-Length": "1"}},
        {"headers": {"Transfer_Encoding": "chunked"}},
        {"headers": {"X-User": "a", "x_user": "b"}},
        {"secret_headers": {"X-Key": "a\nb"}},
        {"headers": {"X-Key": "a"}, "secret_headers": {"x-key": "b"}},
        {"remote_user": "{nobody}"},
        {"token_claims": {"a": [{"b": "{nobody}"}]}},
        {"token_header": "X-Token"},
        {"token_header": "Host", "token_key": SHARED},
        {"token_prefix": "a\nb"},
        {"token_algorithm": "none"},
    ],
)
def test_what_would_not_work_is_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        BridgeSettings(**wrong)


@pytest.mark.filterwarnings("ignore:.*2048 bits")
@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("HS256", "   "),
        ("RS256", "no key"),
        ("ES256", KEYS["RS256"][0]),
        ("RS256", KEYS["ES256"][0]),
        (
            "RS256",
            rsa.generate_private_key(public_exponent=65537, key_size=1024).private_bytes(*PEM).decode(),
        ),
        ("ES256", ec.generate_private_key(ec.SECP384R1()).private_bytes(*PEM).decode()),
    ],
)
def test_a_key_of_another_kind_is_refused_and_not_repeated(algorithm: Any, key: str) -> None:
    with pytest.raises(UnusableKey) as refused:
        bridge(token_header="X-Token", token_algorithm=algorithm, token_key=key)
    assert not key.strip() or key.strip() not in str(refused.value)


def test_a_public_key_signs_nothing() -> None:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(UnusableKey):
        bridge(token_header="X-Token", token_algorithm="ES256", token_key=pem.decode())


@pytest.mark.feature("X-23")
def test_settings_show_what_is_told_and_no_secret(bartizan_settings: dict[str, Any]) -> None:
    house = Bartizan(
        {
            **bartizan_settings,
            "bridge": {
                "headers": {"X-User": "{email}"},
                "secret_headers": {"X-Api-Key": "the-apps-own"},
                "token_header": "Authorization",
                "token_key": SHARED,
            },
        }
    )
    shown = "\n".join(str(row) for row in describe(house.settings))
    assert "{email}" in shown
    assert "the-apps-own" not in shown + repr(house.settings)
    assert SHARED not in shown + repr(house.settings)


def test_production_wants_a_shared_secret_that_cannot_be_guessed() -> None:
    def unsafe(**settings: Any) -> list[str]:
        return [problem.name for problem in BridgeSettings(**settings).unsafe()]

    assert unsafe(token_header="X-T", token_key="short") == ["token_key"]
    assert unsafe(token_header="X-T", token_key=SHARED) == []
    assert unsafe() == []
    with pytest.raises(InvalidSettings):
        Bartizan({"environment": "test", "bridge": {"headers": {"X-User": "{nobody}"}}})
    assert isinstance(Settings().bridge, BridgeSettings)


@asynccontextmanager
async def bridged(upstream: str, settings: dict[str, Any]) -> AsyncGenerator[tuple[Wrapped, str]]:
    """Serve the gate, the bridge and the proxy."""
    house = Bartizan(settings)
    made = Bridge(house.settings.bridge, clock=house.clock)
    proxy = Proxy(upstream, house.settings.proxy, names=made.names)

    async def dressed(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope["headers"] = made.dress(scope["headers"], current.anyone)
        await proxy(scope, receive, send)

    app = Wrapped(dressed, house)
    async with served(app, proxy_headers=False) as url:
        yield app, url


@pytest.mark.feature("X-23", "CORE-02")
async def test_the_apps_own_key_opens_it_and_stays_out_of_sight(
    bartizan_settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    secret = "the-apps-own-key-" + secrets.token_hex(8)
    settings = {
        **bartizan_settings,
        "guard": {"public_paths": ["/ping"]},
        "bridge": {"headers": {"X-Forwarded-User": "{email}"}, "secret_headers": {"X-App-Key": secret}},
    }
    lies = {
        "x-app-key": "mine",
        "X_App_Key": "mine",
        "x-forwarded-user": "root",
        "connection": "close, x-app-key",
    }
    async with served(told) as upstream, bridged(upstream, settings) as (app, url):
        cast = Cast(app.bz)
        member = await cast.person(await cast.organization())
        async with httpx.AsyncClient(base_url=url) as http:
            bearer = {"authorization": f"Bearer {member.access_token}"}
            seen = (await http.get("/", headers={**lies, **bearer})).json()["headers"]
            heard = [
                (name, value)
                for name, value in seen
                if name.replace("_", "-") in {"x-app-key", "x-forwarded-user"}
            ]
            assert sorted(heard) == [("x-app-key", secret), ("x-forwarded-user", member.email)]
            public = (await http.get("/ping", headers=lies)).json()["headers"]
            assert secret not in json.dumps(public)
            assert "root" not in json.dumps(public)
            trace = await http.request("TRACE", "/", headers=bearer)
            assert trace.status_code in {403, 405}
            assert secret not in trace.text
    mirror = f"HTTP/1.1 500 Broken\r\nx-app-key: {secret}\r\ncontent-length: 0\r\n\r\n"
    async with scripted(mirror.encode()) as app_, bridged(app_.url, settings) as (app, url):
        cast = Cast(app.bz)
        member = await cast.person(await cast.organization("Globex"))
        head = (
            f"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: Bearer {member.access_token}"
        )
        answer = await say(url, f"{head}\r\n\r\n".encode(), finish=False)
        assert b" 500 " in answer
        assert secret.encode() not in answer
        assert secret.encode() in app_.heard
    assert secret not in caplog.text
