"""Sessions: registering, signing in and out, new devices."""

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
from bartizan.access.orgs import InvitationForAnother, NewDomain, NewInvitation, NewOrganization
from bartizan.access.sessions import (
    NoSession,
    Refresh,
    RefreshNotGood,
    Registration,
    SessionOver,
)
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller, current
from bartizan.foundation.database import Database
from bartizan.foundation.errors import Unauthenticated
from tests.rooms.access.people import GOOD, Access, access, origin, person

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
