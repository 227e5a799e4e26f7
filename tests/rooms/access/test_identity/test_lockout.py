"""Lock-out: how many failures are borne, for how long, and who is not held up by somebody else's."""

import asyncio

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from bartizan.access.identity import (
    Identity,
    PasswordChange,
    SignInLocked,
    User,
    WrongCredentials,
    WrongPassword,
)
from bartizan.access.identity.tables import AttemptRow
from bartizan.backbone.events import Events
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import current
from bartizan.foundation.database import Database
from tests.rooms.access.people import GOOD, OTHER, Letters, Told, caller, new_identity, origin


async def fail(identity: Identity, login: str, times: int = 1, ip: str | None = None) -> None:
    with current.receiving(origin(ip) if ip else None):
        for _ in range(times):
            with pytest.raises(WrongCredentials):
                await identity.check_password(login, OTHER)


async def locked(identity: Identity, login: str, ip: str | None = None) -> int:
    with current.receiving(origin(ip) if ip else None), pytest.raises(SignInLocked) as refused:
        await identity.check_password(login, GOOD)
    return int(refused.value.facts["retry_after"])


@pytest.mark.feature("ID-10")
@pytest.mark.parametrize("login", ["ada@example.com", "nobody@example.com"])
async def test_five_failures_lock_a_login_for_longer_each_time_whether_it_exists_or_not(
    identity: Identity, events: Events, clock: ManualClock, ada: User, login: str
) -> None:
    told = Told(events)
    for seconds in (900, 1800, 3600, 3600):
        await fail(identity, login, 5)
        assert await locked(identity, login.upper()) == seconds
        clock.advance(seconds)
    assert [e.data["seconds"] for e in told.envelopes if e.type == "sign_in.blocked"] == [
        900,
        1800,
        3600,
        3600,
    ]
    if login == "ada@example.com":
        await identity.check_password(login, GOOD)
        await fail(identity, login, 5)
        assert await locked(identity, login) == 900, "a success forgives everything"


@pytest.mark.feature("ID-10")
async def test_failures_that_lie_far_apart_do_not_add_up(
    identity: Identity, clock: ManualClock, ada: User
) -> None:
    await fail(identity, "ada@example.com", 4)
    clock.advance(901)
    await fail(identity, "ada@example.com", 4)
    assert (await identity.check_password("ada@example.com", GOOD)).id == ada.id


@pytest.mark.feature("ID-10")
async def test_long_quiet_makes_the_first_lock_short_again(identity: Identity, clock: ManualClock) -> None:
    for _ in range(2):
        await fail(identity, "x@example.com", 5)
        clock.advance(1801)
    clock.advance(7200)
    await fail(identity, "x@example.com", 5)
    assert await locked(identity, "x@example.com") == 900


@pytest.mark.feature("ID-10")
async def test_five_failures_from_one_address_lock_it_for_every_login(identity: Identity, ada: User) -> None:
    for number in range(5):
        await fail(identity, f"p{number}@example.com", ip="192.0.2.1")
    assert await locked(identity, "ada@example.com", ip="192.0.2.1") == 900
    with current.receiving(origin("192.0.2.2")):
        assert (await identity.check_password("ada@example.com", GOOD)).id == ada.id


@pytest.mark.feature("ID-10")
@pytest.mark.parametrize(
    ("one", "other"),
    [("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"), ("::ffff:192.0.2.1", "192.0.2.1"), ("unix", "unix")],
)
async def test_one_subscriber_has_one_address(identity: Identity, one: str, other: str) -> None:
    for number in range(5):
        await fail(identity, f"p{number}@example.com", ip=one)
    await locked(identity, "ada@example.com", ip=other)


@pytest.mark.feature("ID-10")
async def test_nobody_elsewhere_can_lock_somebody_out_where_they_signed_in_before(
    identity: Identity, clock: ManualClock, ada: User
) -> None:
    home = origin("192.0.2.10")
    with current.receiving(home):
        await identity.check_password("ada@example.com", GOOD)
    await fail(identity, "ada@example.com", 5, ip="198.51.100.1")
    await locked(identity, "ada@example.com", ip="198.51.100.2")
    with current.receiving(home):
        assert (await identity.check_password("ada@example.com", GOOD)).id == ada.id
    await fail(identity, "ada@example.com", 5, ip="192.0.2.10")
    assert await locked(identity, "ada@example.com", ip="192.0.2.10") == 900
    clock.advance(901)
    with current.receiving(home):
        assert (await identity.check_password("ada@example.com", GOOD)).id == ada.id


@pytest.mark.feature("ID-10")
async def test_an_account_of_ones_own_does_not_clear_the_address(identity: Identity, ada: User) -> None:
    for number in range(4):
        await fail(identity, f"p{number}@example.com", ip="192.0.2.1")
        with current.receiving(origin("192.0.2.1")):
            await identity.check_password("ada@example.com", GOOD)
    await fail(identity, "p9@example.com", ip="192.0.2.1")
    await locked(identity, "p8@example.com", ip="192.0.2.1")


@pytest.mark.feature("ID-10")
async def test_a_hundred_at_once_have_five_tries_together(identity: Identity, ada: User) -> None:
    results = await asyncio.gather(
        *(identity.check_password("ada@example.com", OTHER) for _ in range(100)), return_exceptions=True
    )
    assert sum(isinstance(result, WrongCredentials) for result in results) == 5
    assert sum(isinstance(result, SignInLocked) for result in results) == 95


@pytest.mark.feature("ID-10")
async def test_the_lock_holds_on_every_replica(
    *, database: Database, events: Events, letters: Letters, clock: ManualClock, identity: Identity, ada: User
) -> None:
    replica = new_identity(database, events, letters, clock)
    await fail(identity, "ada@example.com", 3)
    await fail(replica, "ada@example.com", 2)
    await locked(identity, "ada@example.com")
    await locked(replica, "ada@example.com")
    replica.close()


@pytest.mark.feature("ID-10")
async def test_guessing_the_current_password_locks_too(identity: Identity, ada: User) -> None:
    change = PasswordChange(current_password=SecretStr(OTHER), new_password=SecretStr(OTHER))
    with current.acting_as(caller(ada)):
        for _ in range(5):
            with pytest.raises(WrongPassword):
                await identity.change_password(change)
        with pytest.raises(SignInLocked):
            await identity.change_password(change)


@pytest.mark.feature("ID-10")
async def test_what_is_remembered_of_failures_is_bounded(
    database: Database, events: Events, letters: Letters, clock: ManualClock
) -> None:
    identity = new_identity(database, events, letters, clock, max_tracked=1000)
    lockout = identity._lockout
    async with database.transaction():
        for number in range(1020):
            await lockout.begin(f"p{number}@example.com")
    await lockout.sweep()

    async def rows() -> int:
        async with database.reading() as session:
            return await session.scalar(select(func.count()).select_from(AttemptRow)) or 0

    assert await rows() == 1000
    clock.advance(7200)
    await lockout.sweep()
    assert await rows() == 0
    identity.close()
