"""A wall clock that jumps a day, as after a long sleep or a bad time server."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from bartizan.doors.frameworks import Wrapped
from bartizan.doors.testing import Cast, Person, anyone, browser, program
from bartizan.foundation.clock import ManualClock
from tests.attacks.wire.world import API, house

DAY = 86_400
PASSWORD = "correct horse battery staple 9"


@pytest.fixture
async def app(bartizan_settings: dict[str, Any], clock: ManualClock) -> AsyncGenerator[Wrapped]:
    app = await house(bartizan_settings, clock)
    yield app
    await app.bz.stop()


@pytest.fixture
async def owner(app: Wrapped) -> Person:
    cast = Cast(app.bz)
    return await cast.person(await cast.organization(), "owner")


async def statuses(app: Wrapped, person: Person) -> tuple[int, int]:
    """Ask with the access token and with the cookie."""
    async with program(app, person) as http:
        bearer = (await http.get(f"{API}/auth/me")).status_code
    async with browser(app, person) as http:
        return bearer, (await http.get(f"{API}/auth/me")).status_code


@pytest.mark.feature("ID-05", "ID-06")
async def test_a_day_forward_ends_access_tokens_and_a_year_ends_sessions(
    app: Wrapped, clock: ManualClock, owner: Person
) -> None:
    assert await statuses(app, owner) == (200, 200)
    clock.jump(DAY)
    clock.advance(60)
    bearer, _ = await statuses(app, owner)
    assert bearer == 401
    clock.jump(365 * DAY)
    clock.advance(60)
    assert await statuses(app, owner) == (401, 401)


@pytest.mark.feature("ID-05", "ID-06")
async def test_a_day_back_prolongs_nothing_and_breaks_nothing(
    app: Wrapped, clock: ManualClock, owner: Person
) -> None:
    clock.jump(-DAY)
    clock.advance(60)
    assert set(await statuses(app, owner)) <= {200, 401}
    async with program(app, owner) as http:
        for name in ("Then", "There"):
            assert (await http.post(f"{API}/teams", json={"name": name})).status_code in {201, 401}
    clock.jump(DAY)
    clock.advance(16 * 60)
    bearer, cookie = await statuses(app, owner)
    assert bearer == 401, "an access token outlived its quarter of an hour"
    assert cookie == 200, "going back and forth ended a session that is hours old"
    clock.jump(365 * DAY)
    clock.advance(60)
    assert await statuses(app, owner) == (401, 401)


@pytest.mark.feature("ID-09")
@pytest.mark.parametrize("jump", [DAY, -DAY])
async def test_a_lock_ends_in_time_whatever_the_clock_does(
    app: Wrapped, clock: ManualClock, jump: float
) -> None:
    async with anyone(app) as http:
        new = {"email": "ada@example.com", "password": PASSWORD, "organization": "Acme"}
        assert (await http.post(f"{API}/auth/register", json=new)).status_code == 201
        wrong = {"login": "ada@example.com", "password": "not it, surely"}
        answers = [(await http.post(f"{API}/auth/login", json=wrong)).status_code for _ in range(12)]
        assert 429 in answers
        good = {"login": "ada@example.com", "password": PASSWORD}
        assert (await http.post(f"{API}/auth/login", json=good)).status_code == 429
        clock.jump(jump)
        clock.advance(1)
        answer = await http.post(f"{API}/auth/login", json=good)
        assert answer.status_code in {200, 429}
        if answer.status_code == 429:
            assert 0 < int(answer.headers["retry-after"]) <= 2 * DAY
        clock.advance(2 * DAY)
        assert (await http.post(f"{API}/auth/login", json=good)).status_code == 200


@pytest.mark.feature("JOB-01")
@pytest.mark.parametrize("jump", [DAY, -DAY])
async def test_jobs_and_keys_go_on_after_a_jump(
    app: Wrapped, clock: ManualClock, owner: Person, jump: float
) -> None:
    async with browser(app, owner, origin="http://app.test") as http:
        new = {"name": "hourly", "kind": "export.run", "every": 3600}
        schedule = (await http.post(f"{API}/jobs/schedules", json=new)).json()
        key = (await http.post(f"{API}/api-keys", json={"name": "k", "scopes": ["app:read"]})).json()
        clock.jump(jump)
        clock.advance(10)
        await app.bz.jobs.schedules.fire()
        for path in (
            "/jobs",
            "/jobs/counts",
            "/jobs/schedules",
            "/api-keys",
            "/sessions",
            "/audit",
            "/events",
        ):
            answer = await http.get(API + path)
            assert answer.status_code in {200, 401}, (path, answer.text)
            assert answer.status_code == 200 or jump > 0
        ran = await http.post(f"{API}/jobs/schedules/{schedule['id']}/run")
        assert ran.status_code in {201, 401}, ran.text
    async with anyone(app, **{"x-api-key": key["secret"]}) as http:
        assert (await http.get(f"{API}/auth/me")).status_code != 500
