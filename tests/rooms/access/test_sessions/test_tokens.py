"""Sessions: being recognized, refreshing, switching, and what pages send back."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from bartizan.access.orgs import NewTeam, NotAMember
from bartizan.access.sessions import (
    Refresh,
    RefreshNotGood,
    RefreshUsedBefore,
    SessionOver,
    Switch,
    TokenOutdated,
)
from bartizan.access.sessions.service.live import Live
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller, current
from bartizan.foundation.crypto import BadToken
from bartizan.foundation.database import Database
from bartizan.foundation.errors import Forbidden, Unauthenticated
from tests.rooms.access.people import Access, access

# Being recognized


@pytest.mark.feature("ID-03", "ID-04")
async def test_both_tokens_let_in_the_same_person(floor: Access) -> None:
    tokens = await floor.register()
    assert tokens.access_token
    assert tokens.session_token
    assert (tokens.expires_in, tokens.token_type) == (900, "bearer")
    claims = await floor.signing_keys.verify(tokens.access_token, typ="at+jwt")
    assert (claims["sub"], claims["sid"], claims["org"]) == (tokens.user_id, tokens.session_id, tokens.org_id)
    assert claims["roles"] == ["owner"]
    assert {"exp", "iat", "nbf", "iss", "aud", "jti"} <= set(claims)
    by_token = await floor.sessions.authenticate(tokens.session_token)
    by_access = await floor.sessions.authenticate(tokens.access_token)
    assert replace(by_access, expires_at=by_token.expires_at) == by_token
    assert by_token.caller() == by_access.caller()


@pytest.mark.feature("ID-04")
@pytest.mark.parametrize("minutes", [15, 30])
async def test_an_access_token_gets_old(
    database: Database, clock: ManualClock, tmp_path: Path, minutes: int
) -> None:
    floor = access(database, clock, tmp_path / "letters", access_minutes=minutes)
    tokens = await floor.register()
    assert tokens.access_token
    clock.advance(minutes * 60 - 1)
    await floor.sessions.authenticate(tokens.access_token)
    clock.advance(1)
    clock.advance(60)
    with pytest.raises(BadToken):
        await floor.sessions.authenticate(tokens.access_token)
    floor.identity.close()


@pytest.mark.feature("ID-04")
async def test_a_session_is_over_when_idle_and_in_any_case_after_a_month(
    database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    floor = access(database, clock, tmp_path / "letters", idle_hours=2, absolute_days=1)
    tokens = await floor.register()
    assert tokens.session_token
    for _ in range(11):
        clock.advance(7000)
        await floor.sessions.authenticate(tokens.session_token)  # used in time, it goes on
    idle = await floor.sign_in()
    assert idle.session_token
    clock.advance(7200)
    with pytest.raises(SessionOver):
        await floor.sessions.authenticate(idle.session_token)
    clock.advance(7201)
    with pytest.raises(SessionOver):
        await floor.sessions.authenticate(tokens.session_token)
    with current.as_system():
        assert await floor.sessions.purge() == 2
    floor.identity.close()


@pytest.mark.feature("ID-04")
async def test_what_somebody_may_do_is_found_out_anew_and_not_read_from_the_token(floor: Access) -> None:
    owner = await floor.register("owner")
    assert owner.org_id
    tokens = await floor.member("bob", owner.org_id, "admin")
    assert tokens.access_token
    assert "admin" in (await floor.sessions.authenticate(tokens.access_token)).roles
    await floor.rbac.place(tokens.user_id, ["viewer"], org_id=owner.org_id)
    principal = await floor.sessions.authenticate(tokens.access_token)
    assert principal.roles == {"viewer"}
    opaque = await floor.sessions.authenticate(tokens.session_token or "")
    assert opaque.rotate, "its token should be replaced"
    with current.acting_as(opaque.caller()):
        fresh = await floor.sessions.rotate()
    assert (await floor.sessions.authenticate(fresh)).rotate is False
    await floor.sessions.authenticate(tokens.session_token or "")  # for requests under way
    floor.clock.advance(11)
    with pytest.raises(SessionOver):
        await floor.sessions.authenticate(tokens.session_token or "")
    await floor.sessions.authenticate(fresh)


async def test_when_a_session_was_last_used_is_noted_to_the_minute(floor: Access) -> None:
    tokens = await floor.register()
    caller = await floor.caller(tokens)
    started = floor.clock.now()
    for seconds, noted in ((30, started), (31, None)):
        floor.clock.advance(seconds)
        await floor.caller(tokens)
        with current.acting_as(caller):
            [session] = (await floor.sessions.list()).items
        assert session.last_seen_at == (noted or floor.clock.now())


async def test_who_lost_their_membership_acts_for_nobody(floor: Access) -> None:
    owner = await floor.register("owner")
    assert owner.org_id
    tokens = await floor.member("bob", owner.org_id)
    with current.acting_as(Caller(id="x", kind="system", org_id=owner.org_id)):
        await floor.orgs.members.delete(tokens.user_id)
    with pytest.raises(SessionOver):
        await floor.caller(tokens)
    alone = await floor.caller(await floor.sign_in("bob"))
    assert (alone.org_id, alone.permissions, alone.roles) == (None, frozenset(), frozenset())


# Refreshing


@pytest.mark.feature("ID-05")
async def test_a_refresh_token_gives_the_next_one_once(floor: Access) -> None:
    tokens = await floor.register()
    seen = [tokens.refresh_token]
    for _ in range(3):
        floor.clock.advance(60)
        tokens = await floor.sessions.refresh(Refresh(refresh_token=tokens.refresh_token or ""))
        assert tokens.refresh_token not in seen
        assert tokens.session_token is None
        seen.append(tokens.refresh_token)
        await floor.sessions.authenticate(tokens.access_token or "")


@pytest.mark.feature("ID-05")
async def test_twenty_at_once_get_the_same_next_token(floor: Access) -> None:
    tokens = await floor.register()
    request = Refresh(refresh_token=tokens.refresh_token or "")
    answers = await asyncio.gather(*(floor.sessions.refresh(request) for _ in range(20)))
    assert len({answer.refresh_token for answer in answers}) == 1
    floor.clock.advance(9)
    assert (await floor.sessions.refresh(request)).refresh_token == answers[0].refresh_token
    await floor.sessions.authenticate(tokens.session_token or "")


@pytest.mark.feature("ID-05")
async def test_a_later_second_use_ends_the_family_and_is_on_record(floor: Access) -> None:
    tokens = await floor.register()
    request = Refresh(refresh_token=tokens.refresh_token or "")
    following = await floor.sessions.refresh(request)
    floor.clock.advance(11)
    with pytest.raises(RefreshUsedBefore):
        await floor.sessions.refresh(request)
    for token in (following.access_token, tokens.session_token):
        with pytest.raises(Unauthenticated):
            await floor.sessions.authenticate(token or "")
    with pytest.raises(RefreshNotGood):
        await floor.sessions.refresh(Refresh(refresh_token=following.refresh_token or ""))
    assert floor.told.last("refresh.replayed")["user_id"] == tokens.user_id


@pytest.mark.feature("ID-05")
async def test_a_refresh_token_is_good_for_seven_days(floor: Access) -> None:
    tokens = await floor.register()
    floor.clock.advance(7 * 86_400)
    with pytest.raises(RefreshNotGood):
        await floor.sessions.refresh(Refresh(refresh_token=tokens.refresh_token or ""))


# Switching


@pytest.mark.feature("TEN-12")
async def test_a_member_of_two_organizations_switches_without_signing_in(floor: Access) -> None:
    acme, ada = await floor.register("acme"), await floor.register("ada")
    assert acme.org_id
    await floor.orgs.members.join(ada.user_id, "viewer", org_id=acme.org_id, source="added")
    with current.acting_as(await floor.caller(ada)):
        switched = await floor.sessions.switch(Switch(org_id=acme.org_id))
    assert (switched.session_id, switched.org_id) == (ada.session_id, acme.org_id)
    assert switched.refresh_token is None
    assert (await floor.caller(switched)).roles == {"viewer"}
    with pytest.raises(SessionOver):
        await floor.caller(ada)
    with pytest.raises(TokenOutdated):
        await floor.sessions.authenticate(ada.access_token or "")
    refreshed = await floor.sessions.refresh(Refresh(refresh_token=ada.refresh_token or ""))
    assert refreshed.org_id == acme.org_id


@pytest.mark.feature("TEN-12")
async def test_nobody_switches_to_an_organization_that_is_not_theirs(floor: Access) -> None:
    acme, ada = await floor.register("acme"), await floor.register("ada")
    caller = await floor.caller(ada)
    with current.acting_as(caller), pytest.raises(NotAMember):
        await floor.sessions.switch(Switch(org_id=acme.org_id or ""))
    with current.acting_as(replace(caller, actor_id="usr_x")), pytest.raises(Forbidden):
        await floor.sessions.switch(Switch(org_id=ada.org_id or ""))
    assert (await floor.caller(ada)).org_id == ada.org_id


# Pages


@pytest.mark.feature("ID-16")
async def test_a_form_token_belongs_to_one_session(floor: Access) -> None:
    ada, bob = await floor.register("ada"), await floor.register("bob")
    check = floor.sessions.check_csrf
    assert check(ada.session_id, ada.csrf_token)
    assert check(ada.session_id, floor.sessions.csrf_token(ada.session_id))
    for wrong in (bob.csrf_token, "", ada.csrf_token[:-1], "\udcff", "é" * 43):
        assert not check(ada.session_id, wrong)


@pytest.mark.feature("ID-04")
async def test_what_is_remembered_of_good_sessions_is_bounded_and_short(floor: Access) -> None:
    live = Live(floor.clock, 5)
    principal = await floor.sessions.authenticate((await floor.register()).session_token or "")
    for number in range(20_001):
        live.put(str(number), principal, live.generation)
    assert live.get("0") is None
    assert live.get("1") is principal
    before = live.generation
    live.drop()
    live.put("late", principal, before)
    assert live.get("late") is None, "it was looked up before something ended"
    never = Live(floor.clock, 0)
    never.put("x", principal, 0)
    assert never.get("x") is None


@pytest.mark.feature("TEN-12")
async def test_a_session_acts_for_a_team_as_long_as_its_person_is_in_it(floor: Access) -> None:
    ada = await floor.register()
    with current.acting_as(await floor.caller(ada)):
        [team] = (await floor.orgs.teams.list()).items
        switched = await floor.sessions.switch(Switch(org_id=ada.org_id or "", team_id=team.id))
    caller = await floor.caller(switched)
    assert caller.team_id == team.id
    with current.acting_as(caller):
        made = await floor.orgs.teams.create(NewTeam(name="Night"))
        elsewhere = await floor.sessions.switch(Switch(org_id=ada.org_id or "", team_id=made.id))
        await floor.orgs.teams.delete(made.id)
    assert (await floor.caller(elsewhere)).team_id is None
    assert (await floor.caller(elsewhere)).org_id == ada.org_id
