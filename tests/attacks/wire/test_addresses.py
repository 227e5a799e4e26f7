"""Getting past rules about addresses: forged headers, other spellings, other doors, and other people's rules.

The rules are asked as the gate asks them, with the address that the gate finds.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from bartizan.access.identity import UserChanges
from bartizan.doors.frameworks import Wrapped, wrap
from bartizan.doors.testing import Cast, Person, browser, program
from bartizan.foundation.context import current
from tests.attacks.wire.world import API
from tests.doors.hosts import echo

HOME, AWAY, PROXY = "203.0.113.9", "198.51.100.7", "10.0.0.1"
RULES = f"{API}/ip-allowlist"


@pytest.fixture
async def app(bartizan_settings: dict[str, Any]) -> AsyncGenerator[Wrapped]:
    app = wrap(
        echo(), dict(bartizan_settings) | {"guard": {"trusted_proxies": [f"{PROXY}/32"], "caller_ttl": 0}}
    )
    await app.bz.start(embedded=False)
    yield app
    await app.bz.stop()


@pytest.fixture
async def acme(app: Wrapped) -> str:
    return await Cast(app.bz).organization("Acme")


@pytest.fixture
async def owner(app: Wrapped, acme: str) -> Person:
    return await Cast(app.bz).person(acme, "owner")


async def rule(app: Wrapped, person: Person, *addresses: str, **fields: Any) -> dict[str, Any]:
    """Make a rule over the wire, from home."""
    async with program(app, person, address=HOME) as http:
        answer = await http.post(RULES, json={"addresses": list(addresses), **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def status(app: Wrapped, person: Person, address: str, forwarded: str | None = None) -> int:
    """Ask the app from an address, perhaps through what calls itself a proxy."""
    headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
    async with program(app, person, address=address, **headers) as http:
        return (await http.get("/things")).status_code


@pytest.mark.feature("NET-01")
async def test_a_forged_forwarded_address_counts_for_nothing(app: Wrapped, owner: Person) -> None:
    await rule(app, owner, HOME)
    assert await status(app, owner, HOME) == 200
    for forwarded in (HOME, f"{HOME}, {HOME}", f"{HOME}, {PROXY}", f"[{HOME}]", f'for="{HOME}"'):
        assert await status(app, owner, AWAY, forwarded) == 403, forwarded
    assert await status(app, owner, PROXY, HOME) == 200, "our own proxy is believed"
    assert await status(app, owner, PROXY, AWAY) == 403
    for chain in (f"{HOME}, {AWAY}", f"{HOME}, {AWAY}, {PROXY}", f"{HOME}, rubbish", "", "rubbish"):
        assert await status(app, owner, PROXY, chain) == 403, chain


@pytest.mark.feature("NET-01")
@pytest.mark.parametrize(
    ("listed", "held", "strange"),
    [
        (HOME, f"::ffff:{HOME}", "::ffff:198.51.100.7"),
        (f"::ffff:{HOME}", HOME, f"::{HOME}"),
        ("203.0.113.0/24", "::ffff:cb00:7109", "64:ff9b::cb00:7109"),
        ("2001:db8::/32", "2001:0DB8::1%eth0", "2001:db9::1"),
        ("::/0", "2001:db8::1", f"::ffff:{HOME}"),
        ("0.0.0.0/0", f"::ffff:{AWAY}", "::1"),
    ],
)
async def test_another_spelling_of_an_address_is_the_same_address(
    app: Wrapped, owner: Person, listed: str, held: str, strange: str
) -> None:
    await rule(app, owner, listed, confirm=True)
    for place, wanted in ((held, 200), (strange, 403)):
        assert await status(app, owner, place) == wanted
        assert await status(app, owner, PROXY, place) == wanted


@pytest.mark.feature("NET-01")
@pytest.mark.parametrize(
    "odd",
    [
        "0313.0.113.9",
        "203.0.113.09",
        "0xcb.0.113.9",
        "3405803785",
        "203.113.9",
        "203.0.113.9.",
        "testclient",
        "",
        "?",
    ],
)
async def test_what_is_no_address_is_in_no_list(app: Wrapped, owner: Person, odd: str) -> None:
    await rule(app, owner, "0.0.0.0/0", "::/0")
    assert await status(app, owner, HOME) == 200
    assert await status(app, owner, odd) == 403


@pytest.mark.feature("NET-01", "X-08")
async def test_a_refusal_tells_ones_address_and_nothing_of_the_rules(app: Wrapped, owner: Person) -> None:
    await rule(app, owner, HOME, "192.0.2.0/24", note="the vault")
    async with program(app, owner, address=AWAY) as http:
        answer = await http.get("/things")
    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
    problem = answer.json()
    assert (problem["code"], problem["your_address"]) == ("address-not-allowed", AWAY)
    for secret in (HOME, "192.0.2", "vault", "ipr_"):
        assert secret not in answer.text


@pytest.mark.feature("NET-02")
async def test_the_wire_refuses_to_lock_its_user_out(app: Wrapped, owner: Person) -> None:
    async with program(app, owner, address=AWAY) as http:
        refused = await http.post(RULES, json={"addresses": [HOME]})
        assert (refused.status_code, refused.json()["your_address"]) == (409, AWAY)
        forged = await http.post(RULES, json={"addresses": [HOME]}, headers={"x-forwarded-for": HOME})
        assert forged.json()["your_address"] == AWAY
        assert (await http.get(RULES)).json() == []
        made = await http.post(RULES, json={"addresses": [HOME], "confirm": True})
        assert made.status_code == 201
    async with browser(app, owner, address=HOME, origin="http://app.test") as http:
        ours = f"{RULES}/{made.json()['id']}"
        assert (await http.patch(ours, json={"addresses": [AWAY]})).status_code == 409
        assert (await http.delete(ours)).status_code == 204


@pytest.mark.feature("NET-02")
async def test_changes_at_the_same_moment_leave_their_makers_inside(app: Wrapped, owner: Person) -> None:
    made = [await rule(app, owner, net) for net in (HOME, "203.0.113.0/24", "203.0.0.0/16")]
    await rule(app, owner, AWAY)
    async with program(app, owner, address=HOME) as http:
        changes = [http.patch(f"{RULES}/{one['id']}", json={"enabled": False}) for one in made[:2]]
        answers = await asyncio.gather(*changes, http.delete(f"{RULES}/{made[2]['id']}"))
    assert [answer.status_code for answer in answers].count(409) == 1
    assert await status(app, owner, HOME) == 200


async def test_admins_keep_their_own_rules_only(app: Wrapped, acme: str, owner: Person) -> None:
    cast = Cast(app.bz)
    globex = await cast.organization("Globex")
    stranger, member = await cast.person(globex, "owner"), await cast.person(acme, "member")
    made = await rule(app, owner, HOME)
    async with program(app, stranger, address=AWAY) as http:
        answers = {
            "seen": await http.get(f"{RULES}/{made['id']}"),
            "changed": await http.patch(f"{RULES}/{made['id']}", json={"enabled": False}),
            "deleted": await http.delete(f"{RULES}/{made['id']}", params={"confirm": True}),
            "overridden": await http.post(
                f"{RULES}/organizations/{acme}/override", json={"reason": "curious"}
            ),
            "global": await http.post(RULES, json={"addresses": [AWAY], "level": "global"}),
            "level": await http.get(RULES, params={"level": "global"}),
        }
        assert (await http.get(RULES)).json() == []
    assert {name: answer.status_code for name, answer in answers.items()} == {
        "seen": 404,
        "changed": 404,
        "deleted": 404,
        "overridden": 403,
        "global": 403,
        "level": 403,
    }
    async with program(app, member, address=HOME) as http:
        for answer in (await http.get(RULES), await http.get(f"{RULES}/test", params={"address": HOME})):
            assert answer.json()["permission"] == "ip_allowlist:read"
    assert await status(app, owner, AWAY) == 403


@pytest.mark.feature("NET-01", "NET-02", "ID-06")
async def test_an_operator_steers_the_platform_over_the_wire(app: Wrapped, acme: str, owner: Person) -> None:
    cast = Cast(app.bz)
    member = await cast.person(acme, "member")
    with current.as_system():
        await app.bz.identity.update(owner.id, UserChanges(is_operator=True))
    owner = await cast.sign_in(owner.id, acme, "owner")
    async with program(app, owner, address=HOME) as http:
        made = await http.post(RULES, json={"addresses": ["203.0.113.0/24"], "level": "global"})
        assert made.status_code == 201
        assert await status(app, member, AWAY) == 403
        assert await status(app, member, "203.0.113.10") == 200
        await http.post(RULES, json={"addresses": [HOME]})
        assert await status(app, member, "203.0.113.10") == 403
        simulated = await http.post(f"{RULES}/simulate", json={"rules": [{"addresses": [AWAY]}]})
        assert simulated.status_code == 200
        assert simulated.json()["complete"] is True
        tried = await http.get(f"{RULES}/test", params={"address": "203.0.113.10", "caller": "keys"})
        assert [one["allowed"] for one in tried.json()["because"]] == [True, False]
        off = await http.post(f"{RULES}/organizations/{acme}/override", json={"reason": "Support case 4711"})
        assert [one["addresses"] for one in off.json()] == [[HOME]]
        assert await status(app, member, "203.0.113.10") == 200
        assert (await http.delete(f"{RULES}/{made.json()['id']}")).status_code == 204
    assert await status(app, member, AWAY) == 200
