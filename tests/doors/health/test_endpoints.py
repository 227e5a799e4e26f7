"""What everybody may ask, what every answer carries, and who else's pages may call our API."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from bartizan.doors.frameworks import Wrapped, wrap
from bartizan.doors.testing import Cast, anyone, browser, program
from bartizan.foundation.context import current
from tests.doors.hosts import echo

FRIEND = "https://app.example.com"
API = "/_bartizan/api/v1"


@pytest.fixture
async def app(bartizan_settings: dict[str, Any]) -> AsyncGenerator[Wrapped]:
    app = wrap(echo(), {**bartizan_settings, "guard": {"cors_origins": [FRIEND], "public_paths": ["/ping"]}})
    await app.bz.start(embedded=False)
    yield app
    await app.bz.stop()


@pytest.mark.feature("OPS-01")
@pytest.mark.parametrize(
    "path",
    ["/health", "/health/live", "/health/ready", "/health/startup", "/api/health", "/api/health/ready"],
)
async def test_anybody_may_ask_how_it_is(app: Wrapped, path: str) -> None:
    async with anyone(app) as http:
        answer = await http.get(f"/_bartizan{path}")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


@pytest.mark.feature("OPS-01", "OPS-10")
async def test_health_goes_on_during_maintenance(app: Wrapped) -> None:
    org = await Cast(app.bz).organization()
    member = await Cast(app.bz).person(org, "member")
    with current.as_system():
        await app.bz.maintain("Back at 14:00 UTC.")
    async with program(app, member) as http:
        closed = await http.get("/things")
        assert (closed.status_code, closed.headers["retry-after"]) == (503, "60")
        assert "14:00" in closed.json()["detail"]
        assert (await http.get("/_bartizan/health/ready")).status_code == 200
        with current.as_system():
            await app.bz.maintain(None)
        assert (await http.get("/things")).status_code == 200


@pytest.mark.feature("NET-03")
@pytest.mark.parametrize(
    "path", ["/ping", "/things", f"{API}/auth/me", "/_bartizan/sign-in", "/_bartizan/nowhere"]
)
async def test_every_answer_carries_the_headers_that_keep_browsers_safe(app: Wrapped, path: str) -> None:
    async with anyone(app) as http:
        headers = (await http.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] in {"same-origin", "strict-origin"}
    assert headers["x-frame-options"] in {"DENY", "SAMEORIGIN"}
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["x-request-id"].startswith("req_")
    assert "server" not in headers
    if path.startswith("/_bartizan"):
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


@pytest.mark.feature("NET-03")
async def test_over_tls_browsers_are_told_to_stay_there(bartizan_settings: dict[str, Any]) -> None:
    app = wrap(echo(), {**bartizan_settings, "guard": {"trusted_proxies": ["203.0.113.0/24"]}})
    await app.bz.start(embedded=False)
    async with anyone(app) as http:
        plain = await http.get("/_bartizan/health")
        tls = await http.get("/_bartizan/health", headers={"x-forwarded-proto": "https"})
    await app.bz.stop()
    assert "strict-transport-security" not in plain.headers
    assert "max-age=31536000" in tls.headers["strict-transport-security"]


@pytest.mark.feature("NET-03")
async def test_pages_of_named_origins_may_call_our_api_and_no_others(app: Wrapped) -> None:
    org = await Cast(app.bz).organization()
    member = await Cast(app.bz).person(org, "member")
    ask = {"access-control-request-method": "DELETE", "access-control-request-headers": "authorization"}
    async with anyone(app) as http:
        allowed = await http.options(f"{API}/api-keys", headers={"origin": FRIEND, **ask})
        stranger = await http.options(f"{API}/api-keys", headers={"origin": "https://evil.example", **ask})
        anonymous = await http.get(f"{API}/auth/me", headers={"origin": FRIEND})
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == FRIEND
    assert "DELETE" in allowed.headers["access-control-allow-methods"]
    assert "authorization" in allowed.headers["access-control-allow-headers"]
    assert "access-control-allow-origin" not in stranger.headers
    assert anonymous.status_code == 401
    assert anonymous.headers["access-control-allow-origin"] == FRIEND, "a page may read why it was refused"
    async with program(app, member) as http:
        told = await http.get(f"{API}/auth/me", headers={"origin": FRIEND})
        hidden = await http.get(f"{API}/auth/me", headers={"origin": "https://evil.example"})
        bad = await http.get(f"{API}/auth/me", headers={"origin": FRIEND, "authorization": "Bearer rubbish"})
    assert told.headers["access-control-allow-origin"] == FRIEND
    assert told.headers["access-control-allow-credentials"] == "true"
    assert "Origin" in told.headers["vary"]
    assert "access-control-allow-origin" not in hidden.headers
    assert (bad.status_code, bad.headers["access-control-allow-origin"]) == (401, FRIEND)
    assert bad.headers.get_list("access-control-allow-origin") == [FRIEND]
    async with browser(app, member) as http:
        forged = await http.post(
            f"{API}/api-keys", json={"name": "x", "scopes": []}, headers={"origin": "https://evil.example"}
        )
    assert forged.status_code == 403
