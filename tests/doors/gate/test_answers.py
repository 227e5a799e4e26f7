"""What the gate adds to answers: time, what is left, and that one caller's answer is for nobody else."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bartizan.doors.frameworks import Wrapped, wrap
from bartizan.doors.testing import Cast, Person, anyone, browser, program

SHARED = "public, max-age=60, s-maxage=600"


def host() -> Starlette:
    async def tile(request: Request) -> Response:
        said = request.query_params.get("cache")
        return PlainTextResponse("tile", headers={"cache-control": said} if said else {})

    return Starlette(routes=[Route("/tiles", tile, methods=["GET", "POST"]), Route("/static/logo", tile)])


@pytest.fixture
async def app(bartizan_settings: dict[str, Any]) -> AsyncGenerator[Wrapped]:
    limits = {"organization": "6/minute", "user": "3/minute", "browser": "4/minute", "address": "2/minute"}
    guard = {"public_paths": ["/static/*"]}
    app = wrap(host(), {**bartizan_settings, "guard": guard, "limits": limits})
    await app.bz.start(embedded=False)
    yield app
    await app.bz.stop()


async def person(app: Wrapped) -> Person:
    cast = Cast(app.bz)
    return await cast.person(await cast.organization(), "member")


@pytest.mark.feature("CORE-02", "TEN-11")
async def test_an_answer_to_one_caller_is_kept_by_no_shared_cache(app: Wrapped) -> None:
    async with browser(app, await person(app)) as http:
        shared = await http.get("/tiles", params={"cache": SHARED})
        silent = await http.get("/tiles")
        strict = await http.get("/tiles", params={"cache": "no-store"})
        public = await http.get("/static/logo", params={"cache": SHARED})
    assert shared.headers["cache-control"] == "private, max-age=60"
    assert silent.headers["cache-control"] == "private"
    assert strict.headers["cache-control"] == "no-store"
    assert public.headers["cache-control"] == SHARED


@pytest.mark.feature("RATE-01", "RATE-02", "RATE-05")
async def test_programs_meet_the_limit_of_their_person_and_are_told(app: Wrapped) -> None:
    async with program(app, await person(app)) as http:
        answers = [await http.get("/tiles") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    first, last = answers[0], answers[-1]
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert first.headers["x-ratelimit-tenant"] == "limit=6, remaining=5"
    assert first.headers["x-response-time"].endswith("ms")
    assert 1 <= int(last.headers["retry-after"]) <= 20
    problem = last.json()
    assert (problem["error"], problem["scope"], problem["code"]) == (
        "rate_limit_exceeded",
        "user",
        "too-many-requests",
    )
    assert problem["retry_after"] == int(last.headers["retry-after"])


@pytest.mark.feature("RATE-01")
async def test_a_person_in_a_browser_has_a_limit_of_their_own(app: Wrapped) -> None:
    async with browser(app, await person(app)) as http:
        found = [(await http.get("/tiles")).status_code for _ in range(5)]
    assert found == [200, 200, 200, 200, 429]


@pytest.mark.feature("RATE-01", "RATE-08")
async def test_strangers_are_counted_by_address_and_their_guesses_too(app: Wrapped) -> None:
    async with anyone(app) as http:
        headers = [{"authorization": f"Bearer guess-{number}"} for number in range(4)]
        found = [(await http.get("/tiles", headers=one)).status_code for one in headers]
        after = await http.get("/tiles")
    assert found == [401, 401, 429, 429]
    assert after.status_code == 429
    assert int(after.headers["retry-after"]) >= 1
