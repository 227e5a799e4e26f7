"""Sessions: registering, signing in and out, refreshing, switching, and being recognized."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from bartizan.access.identity import (
    EmailNotVerified,
    EmailTaken,
    LinkOnly,
    RegistrationClosed,
    WrongCredentials,
)
from bartizan.access.orgs import InvitationForAnother, NewDomain, NewInvitation, NewOrganization, NotAMember
from bartizan.access.sessions import (
    NoSession,
    Refresh,
    RefreshNotGood,
    RefreshUsedBefore,
    Registration,
    SessionOver,
    Switch,
    TokenOutdated,
)
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller, current
from bartizan.foundation.crypto import BadToken
from bartizan.foundation.database import Database
from bartizan.foundation.errors import Forbidden, Unauthenticated
from tests.rooms.access.people import GOOD, Access, access, origin, person


@pytest.fixture
async def floor(database: Database, clock: ManualClock, tmp_path: Path) -> AsyncGenerator[Access]:
    floor = access(database, clock, tmp_path / "letters")
    yield floor
    floor.identity.close()


# Registering


@pytest.mark.feature("ID-01", "ID-02")
async def test_who_registers_owns_an_organization_with_a_default_team_and_is_signed_in(floor: Access) -> None:
    registration = Registration(email="ada@example.com", password=SecretStr(GOOD), organization="Engines")
    made = await floor.sessions.register(registration)
    assert made.status == "created"
    assert made.user
    assert made.tokens
    assert made.user.last_sign_in_at == floor.clock.now()
    caller = await floor.caller(made.tokens)
    assert caller.org_id == made.org_id
    assert "owner" in caller.roles
    with current.acting_as(caller):
        assert [team.is_default for team in (await floor.orgs.teams.list()).items] == [True]
        me = await floor.sessions.me()
    assert me.organization
    assert (me.organization.name, me.user.id) == ("Engines", made.user.id)
    assert "sessions:end" in me.permissions
    started = floor.told.last("session.started")
    assert (started["user_id"], started["method"]) == (made.user.id, "registration")
    assert "password" not in repr(registration).replace("password=SecretStr('**********')", "")


@pytest.mark.feature("ID-01")
async def test_a_known_address_is_a_conflict_and_leaves_nothing_behind(floor: Access) -> None:
    await floor.register()
    before = len(floor.told.envelopes)
    with pytest.raises(EmailTaken):
        await floor.register(username="other")
    with current.as_system():
        assert len((await floor.orgs.list()).items) == 1
    assert floor.told.names()[before:] == []


@pytest.mark.feature("ID-01")
async def test_hidden_accounts_answer_alike_and_write_to_the_owner(
    database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    floor = access(database, clock, tmp_path / "letters", identity={"hide_accounts": True})
    new = Registration(email="ada@example.com", password=SecretStr(GOOD))
    first = await floor.sessions.register(new)
    again = await floor.sessions.register(new)
    assert first == again
    assert first.model_dump() == {"status": "pending", "user": None, "org_id": None, "tokens": None}
    assert [letter["template"] for letter in floor.letters.all()] == ["verify_email", "account_exists"]
    with pytest.raises(WrongCredentials):
        await floor.sign_in("ada@example.com")
    await floor.identity.verify_email(LinkOnly(token=floor.letters.token("verify_email")))
    assert (await floor.caller(await floor.sign_in("ada@example.com"))).roles == {"owner"}
    floor.identity.close()


@pytest.mark.feature("ID-11")
async def test_an_address_to_be_confirmed_gets_no_tokens_yet(
    database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    floor = access(database, clock, tmp_path / "letters", identity={"verify_email": True})
    made = await floor.sessions.register(Registration(email="ada@example.com", password=SecretStr(GOOD)))
    assert (made.status, made.tokens) == ("pending", None)
    assert made.user
    with pytest.raises(EmailNotVerified):
        await floor.sign_in("ada@example.com")
    floor.identity.close()


@pytest.mark.feature("ID-01")
async def test_an_invitation_opens_an_account_where_registration_is_closed(
    database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    open_floor = access(database, clock, tmp_path / "letters")
    owner = await open_floor.caller(await open_floor.register("owner"))
    floor = access(
        database, clock, tmp_path / "letters", identity={"registration": "invite", "verify_email": True}
    )
    with current.acting_as(owner):
        await open_floor.orgs.invitations.create(NewInvitation(email="bob@example.com", role="viewer"))
    token = floor.letters.token("invitation")
    new = Registration(email="bob@example.com", password=SecretStr(GOOD), invitation=token)
    with pytest.raises(RegistrationClosed):
        await floor.sessions.register(new.model_copy(update={"invitation": None}))
    with pytest.raises(InvitationForAnother):
        await floor.sessions.register(new.model_copy(update={"email": "eve@example.com"}))
    made = await floor.sessions.register(new)
    assert (made.status, made.org_id) == ("created", owner.org_id)
    assert made.user
    assert made.user.email_verified_at, "the letter reached them"
    assert made.tokens
    assert (await floor.caller(made.tokens)).roles == {"viewer"}
    floor.identity.close()
    open_floor.identity.close()


async def test_a_confirmed_address_joins_the_organization_that_lists_its_domain(
    database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    floor = access(database, clock, tmp_path / "letters", identity={"verify_email": True})
    await person(floor.identity, "boss@acme.example", username="boss")
    boss = await floor.identity.by_email("boss@acme.example")
    assert boss
    acme = await floor.orgs.create(NewOrganization(name="Acme"), owner_id=boss.id)
    with current.acting_as(await floor.caller(await floor.sign_in("boss"))):
        await floor.orgs.domains.create(NewDomain(domain="acme.example", role="viewer"))
    made = await floor.sessions.register(Registration(email="new@acme.example", password=SecretStr(GOOD)))
    assert (made.status, made.org_id) == ("pending", None)
    await floor.identity.verify_email(LinkOnly(token=floor.letters.token("verify_email")))
    caller = await floor.caller(await floor.sign_in("new@acme.example"))
    assert caller.org_id == acme.id
    assert caller.roles == {"viewer"}
    floor.identity.close()


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


# Signing out


@pytest.mark.feature("ID-06")
async def test_signing_out_ends_every_token_at_once(floor: Access) -> None:
    tokens = await floor.register()
    assert tokens.access_token
    assert tokens.refresh_token
    with current.acting_as(await floor.caller(tokens)):
        await floor.sessions.authenticate(tokens.access_token)
        await floor.sessions.sign_out()
        for token in (tokens.session_token or "", tokens.access_token):
            with pytest.raises(Unauthenticated):
                await floor.sessions.authenticate(token)
        with pytest.raises(SessionOver):
            await floor.sessions.sign_out()
    with pytest.raises(RefreshNotGood):
        await floor.sessions.refresh(Refresh(refresh_token=tokens.refresh_token))
    assert floor.told.last("session.ended")["reason"] == "signed_out"
    with current.acting_as(Caller(id="key_1", kind="key")), pytest.raises(NoSession):
        await floor.sessions.sign_out()


@pytest.mark.feature("ID-06")
async def test_another_replica_refuses_the_token_within_five_seconds(floor: Access) -> None:
    tokens = await floor.register()
    replica = floor.replica(cache_seconds=5)
    caller = (await replica.authenticate(tokens.session_token or "")).caller()
    with current.acting_as(caller):
        await floor.sessions.sign_out()
    await replica.authenticate(tokens.session_token or "")  # it has just looked
    floor.clock.advance(5)
    with pytest.raises(SessionOver):
        await replica.authenticate(tokens.session_token or "")


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


# Devices


@pytest.mark.feature("ID-07")
async def test_a_device_that_is_new_among_theirs_is_mailed_about(floor: Access) -> None:
    ada = await floor.register()
    with current.receiving(
        origin(agent="Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/605.1")
    ):
        await floor.sessions.open(ada.user_id, method="sso")
    await floor.sign_in(agent="Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/605.1")
    letters = floor.letters.all("new_sign_in")
    assert [letter["device"] for letter in letters] == ["Safari on iPhone"]


async def test_a_further_session_beyond_the_limit_ends_the_oldest(
    database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    floor = access(database, clock, tmp_path / "letters", max_per_person=2)
    first = await floor.register()
    second, third = await floor.sign_in(), await floor.sign_in()
    with pytest.raises(SessionOver):
        await floor.caller(first)
    assert floor.told.last("session.ended")["reason"] == "crowded"
    await floor.caller(second)
    await floor.caller(third)
    floor.identity.close()


async def test_a_person_switched_off_while_signing_in_gets_no_session(floor: Access) -> None:
    owner = await floor.register()
    await floor.member("bob", owner.org_id or "")
    user = await floor.identity.check_password("bob", GOOD)
    with current.as_system():
        await floor.identity.deactivate(user.id)
    with pytest.raises(WrongCredentials):
        await floor.sessions._enter(user, method="password")
    with pytest.raises(WrongCredentials):
        await floor.sign_in("bob")
