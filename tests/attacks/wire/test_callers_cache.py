"""What the gate remembers of one request never answers another."""

from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from bartizan.doors.frameworks import Wrapped, wrap
from bartizan.doors.guard.callers import fields_of
from bartizan.doors.testing import Cast, anyone, program
from tests.doors.hosts import echo

Headers = list[tuple[str, str]]


@pytest.fixture
async def app(bartizan_settings: dict[str, Any]) -> AsyncGenerator[Wrapped]:
    app = wrap(echo(), bartizan_settings)
    await app.bz.start(embedded=False)
    yield app
    await app.bz.stop()


async def seen(app: Wrapped, headers: Headers) -> tuple[int, str | None]:
    async with anyone(app) as http:
        request = httpx.Request("GET", "http://app.test/api/things", headers=headers)
        answer = await http.send(request)
        return answer.status_code, answer.json().get("caller") if answer.status_code == 200 else None


@pytest.mark.feature("CORE-02", "ID-16")
async def test_a_cookie_in_a_second_header_lets_nobody_else_in_who_sends_the_first(app: Wrapped) -> None:
    person = await Cast(app.bz).person(await Cast(app.bz).organization(), "member")
    split = [("cookie", "theme=dark"), ("cookie", f"bartizan={person.token}")]
    assert await seen(app, split) == (200, person.id)
    assert (await seen(app, [("cookie", "theme=dark")]))[0] == 401
    assert (await seen(app, [("cookie", "theme=dark"), ("cookie", "bartizan=guess")]))[0] == 401
    assert await seen(app, split) == (200, person.id)


@pytest.mark.feature("TEN-06")
async def test_an_organization_named_twice_is_not_remembered_for_the_one_named_once(app: Wrapped) -> None:
    cast = Cast(app.bz)
    home, other = await cast.organization("Acme"), await cast.organization("Globex")
    person = await cast.person(home, "member")
    bearer = ("authorization", f"Bearer {person.token}")
    assert (await seen(app, [bearer, ("x-org-id", home), ("x-org-id", other)]))[0] in {200, 403}
    assert (await seen(app, [bearer, ("x-org-id", other), ("x-org-id", home)]))[0] == 403
    assert (await seen(app, [bearer, ("x-org-id", other)]))[0] == 403
    assert await seen(app, [bearer, ("x-org-id", home)]) == (200, person.id)


@pytest.mark.feature("CORE-02")
async def test_two_people_who_share_everything_but_the_credential_stay_two(app: Wrapped) -> None:
    cast = Cast(app.bz)
    org = await cast.organization()
    people = [await cast.person(org, "member") for _ in range(3)]
    for _ in range(3):
        for person in people:
            async with program(app, person) as http:
                assert (await http.get("/api/things")).json()["caller"] == person.id
    assert (await seen(app, []))[0] == 401


def test_every_value_of_a_repeated_header_tells_requests_apart() -> None:
    once, twice = [(b"cookie", b"a=1")], [(b"cookie", b"a=1"), (b"cookie", b"b=2")]
    assert fields_of(once)[1] != fields_of(twice)[1]
    assert fields_of(twice)[0] == {b"cookie": b"a=1"}
    assert fields_of(list(reversed(twice)))[1] != fields_of(twice)[1]
