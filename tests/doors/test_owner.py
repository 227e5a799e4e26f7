"""The first owner: made by a link that whoever runs the server prints."""

import asyncio
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from bartizan.doors.frameworks import wrap
from bartizan.doors.testing import Cast, anyone, program
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import OperatorsOnly, current
from bartizan.house import Bartizan
from tests.doors.hosts import echo

REGISTER = "/_bartizan/api/v1/auth/register"
PASSWORD = "a-long-and-unusual-phrase-77"


async def token_of(bz: Bartizan, minutes: int = 30) -> str:
    with current.as_system(name="command line"):
        link = await bz.sessions.owner_link(minutes)
    assert link.startswith("http://app.test/_bartizan/owner?")
    return parse_qs(urlsplit(link).query)["token"][0]


def owner(token: str, email: str = "ada@example.com") -> dict[str, Any]:
    return {"email": email, "password": PASSWORD, "organization": "Analytical", "owner_token": token}


@pytest.mark.feature("ID-02", "CORE-17")
async def test_the_link_makes_an_operator_once_whatever_the_mode(bartizan_settings: dict[str, Any]) -> None:
    app = wrap(echo(), {**bartizan_settings, "identity": {"registration": "closed"}})
    await app.bz.start(embedded=False)
    token = await token_of(app.bz)
    async with anyone(app) as http:
        assert (await http.post(REGISTER, json=owner("x" * 43))).status_code == 403
        answers = await asyncio.gather(
            *(http.post(REGISTER, json=owner(token, f"ada{n}@example.com")) for n in range(4))
        )
        again = await http.post(REGISTER, json=owner(token, "late@example.com"))
        made = [answer for answer in answers if answer.status_code == 201]
        assert [len(made), again.status_code] == [1, 403]
        assert sorted(answer.status_code for answer in answers) == [201, 403, 403, 403]
        assert again.json()["code"] == "owner-link-not-good"
        bearer = {"authorization": f"Bearer {made[0].json()['tokens']['access_token']}"}
        me = (await http.get("/_bartizan/api/v1/auth/me", headers=bearer)).json()
        assert me["user"]["is_operator"]
        assert me["roles"] == ["owner"]
    await app.bz.stop()


@pytest.mark.feature("ID-02")
async def test_a_new_link_replaces_the_old_one_and_each_grows_old(
    bartizan_settings: dict[str, Any], clock: ManualClock
) -> None:
    bz = Bartizan(bartizan_settings, clock=clock)
    app = wrap(echo(), bartizan_settings)
    await app.bz.start(embedded=False)
    await bz.start(embedded=False)
    first, second = await token_of(bz), await token_of(bz, minutes=5)
    async with anyone(app) as http:
        assert (await http.post(REGISTER, json=owner(first))).status_code == 403
        clock.advance(-3600)
        stale = await token_of(bz, minutes=5)
        assert (await http.post(REGISTER, json=owner(second))).status_code == 403
        assert (await http.post(REGISTER, json=owner(stale))).status_code == 403
    await bz.stop()
    await app.bz.stop()


@pytest.mark.feature("ID-02")
async def test_only_operators_and_the_server_itself_make_the_link(bz: Bartizan, cast: Cast) -> None:
    member = await cast.person(await cast.organization(), "owner")
    app = wrap(echo(), bz.settings)
    async with program(app, member) as http:
        asked = await http.post(REGISTER, json={**owner("x" * 43), "is_operator": True})
        assert asked.status_code == 422
        assert asked.json()["field"] == "body.is_operator"
    principal = await bz.sessions.authenticate(member.token)
    with current.acting_as(principal.caller()), pytest.raises(OperatorsOnly):
        await bz.sessions.owner_link()
    await app.bz.stop()
