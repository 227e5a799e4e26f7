"""The matrix over a sample application, over Bartizan's own API, and over what it must refuse to walk."""

import secrets
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import bartizan
from bartizan.doors.http import control_plane
from bartizan.doors.testing import FindLeaks
from bartizan.doors.testing.leaks import NotAttached, NotHere
from examples.notes.app import create
from tests.attacks.wire.world import bodies, house

EXAMPLES: dict[str, Any] = {
    **bodies({"user_id": "usr_none", "org_id": "org_none"}),
    "NewRole": {"name": "role-{mark}", "permissions": ["app:read"]},
    "NewSecret": {"name": "s_{mark}", "value": "v {mark}"},
    "NewSchedule": {"name": "nightly-{mark}", "kind": "export.run", "every": 3600},
    "NewTeam": {"name": "Team {mark}"},
    "NewWorkspace": {"name": "Workspace {mark}"},
    "NewDomain": {"domain": "{mark}.example"},
    "NewInvitation": {"email": "{mark}@example.com"},
    "permission": "app:read",
}
ENDS = (
    "POST /_bartizan/api/v1/auth/*",
    "POST /_bartizan/api/v1/me/*",
    "DELETE /_bartizan/api/v1/me*",
    "DELETE /_bartizan/api/v1/sessions*",
    "DELETE /_bartizan/api/v1/orgs/{org_id}",
    "POST /_bartizan/api/v1/orgs/{org_id}/*",
    "GET /_bartizan/api/v1/usage*",  # counts the walk itself, which then looks like a change
    "POST /_bartizan/api/v1/members",  # takes anybody who has an account, by id
)
"""What ends the session or the organization that the walk stands on; the attacks over the wire try these."""


@pytest.mark.feature("X-07", "TEN-08")
async def test_the_sample_application_leaks_nothing(
    bartizan_leaks: FindLeaks, bartizan_settings: dict[str, Any], tmp_path: Path
) -> None:
    report = await bartizan_leaks(create(f"sqlite:///{tmp_path}/notes.db", bartizan_settings))
    report.assert_none(complete=True)
    assert {
        "GET /",
        "POST /notes",
        "GET /api/notes",
        "POST /api/notes",
        "DELETE /api/notes/{note_id}",
    } == set(report.exercised)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.feature("X-07", "TEN-08")
async def test_our_own_api_leaks_nothing(
    bartizan_leaks: FindLeaks, bartizan_settings: dict[str, Any], database_url: str
) -> None:
    app = await house(bartizan_settings)
    try:
        report = await bartizan_leaks(
            app,
            openapi=control_plane(app.bz).openapi(),
            prefix="/_bartizan",
            refusals=(403, 404),
            examples=EXAMPLES,
            skip=ENDS,
        )
    finally:
        await app.bz.stop()
    report.assert_none()
    assert len(report.exercised) > 60, str(report)


async def test_production_is_not_walked(bartizan_leaks: FindLeaks, tmp_path: Path) -> None:
    app = Starlette()
    with pytest.raises(NotAttached, match="not attached"):
        await bartizan_leaks(app)
    settings = {
        "environment": "production",
        "database": f"sqlite:///{tmp_path}/real.db",
        "secret_key": secrets.token_urlsafe(48),
        "base_url": "https://app.example.com",
        "email": {"backend": "smtp", "sender": "a@example.com"},
    }
    house = bartizan.attach(app, settings)
    with pytest.raises(NotHere, match="production"):
        await bartizan_leaks(app)
    await house.stop()


async def test_what_a_factory_makes_and_what_an_example_says_leads_to_routes_that_tell_nothing(
    bartizan_leaks: FindLeaks, bartizan_settings: dict[str, Any]
) -> None:
    kept: dict[str, str] = {}

    async def show(request: Any) -> Any:
        said = kept.get(request.path_params["code"])
        return PlainTextResponse(said or "", 200 if said else 404)

    async def make(http: httpx.AsyncClient) -> dict[str, str]:
        code = f"code{len(kept)}"
        kept[code] = f"of {http.headers['authorization'][-12:]}"
        return {"code": code}

    async def slow(_request: Any) -> Any:
        raise ValueError

    app = Starlette(routes=[Route("/things/{code}", show), Route("/broken", slow), Route("/lost/{x}", show)])
    bartizan.attach(app, bartizan_settings)
    report = await bartizan_leaks(app, make=[make], skip=["GET /nothing"])
    assert [(leak.route, leak.what) for leak in report.leaks] == [
        ("GET /things/{code}", "answered 200 instead of 404")
    ], str(report)
    assert {one.route: one.why[:19] for one in report.unexercised} == {
        "GET /broken": "its owner gets 500 ",
        "GET /lost/{x}": "no value of x is kn",
    }
    with pytest.raises(AssertionError, match=r"GET /lost/\{x\}"):
        report.assert_none(complete=True)
