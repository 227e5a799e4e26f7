"""Accounts: opening them, signing in, profiles and traits."""

import pytest
from pydantic import SecretStr, ValidationError

from bartizan.access.identity import (
    DomainNotAllowed,
    EmailTaken,
    Identity,
    ImportedUser,
    NewUser,
    ProfileChanges,
    RegistrationClosed,
    TraitRule,
    User,
    UsernameTaken,
    WrongCredentials,
)
from bartizan.backbone.events import Events
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import OperatorsOnly, current
from bartizan.foundation.database import Database
from tests.rooms.access.people import GOOD, OTHER, Letters, Told, caller, new_identity, person

# Opening


@pytest.mark.feature("ID-01")
async def test_an_account_is_opened_once_for_an_address_however_it_is_written(
    identity: Identity, told: Told, ada: User
) -> None:
    assert (ada.email, ada.username, ada.is_active, ada.is_operator) == (
        "ada@example.com",
        "ada",
        True,
        False,
    )
    assert "user.registered" in told.names()
    with pytest.raises(EmailTaken):
        await person(identity, " ADA@Example.com ")
    with pytest.raises(UsernameTaken):
        await person(identity, "other@example.com", username="ADA")
    found = await identity.find_by_email("ada@EXAMPLE.com")
    assert found == ada
    assert await identity.find_by_email("nobody@example.com") is None


@pytest.mark.parametrize(
    ("mode", "refusal"),
    [
        ("closed", RegistrationClosed),
        ("invite", RegistrationClosed),
        ("domain", DomainNotAllowed),
        ("open", None),
    ],
)
@pytest.mark.feature("ID-01")
async def test_the_mode_says_who_may_register(
    *,
    database: Database,
    events: Events,
    letters: Letters,
    clock: ManualClock,
    mode: str,
    refusal: type[Exception] | None,
) -> None:
    identity = new_identity(database, events, letters, clock, registration=mode, domains=["acme.example"])
    if refusal:
        with pytest.raises(refusal):
            identity.admit("eve@acme.example.evil.example")
    else:
        identity.admit("eve@anywhere.example")
    identity.admit("eve@anywhere.example", invited=True)
    if mode == "domain":
        identity.admit("bob@acme.example")
        assert identity.verifies_email
    identity.close()


@pytest.mark.parametrize(
    "address", ["ada", "a@b", "a b@c.example", "@c.example", "a@c.example\nBcc: x@y.example", "a@.x"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        NewUser(email=address, password=SecretStr(GOOD))


def test_a_user_name_cannot_be_taken_for_an_address() -> None:
    for name in ("ada@example.com", "a b", "-ada", "x" * 41, "é"):
        with pytest.raises(ValidationError):
            NewUser(email="ada@example.com", password=SecretStr(GOOD), username=name)


async def test_hidden_accounts_keep_a_taken_user_name_to_themselves(
    database: Database, events: Events, letters: Letters, clock: ManualClock
) -> None:
    identity = new_identity(database, events, letters, clock, production=True)
    await person(identity, username="ada")
    second = await person(identity, "second@example.com", username="ada")
    assert second.username is None
    await identity.tell_owner("ada@example.com")
    assert letters.all("account_exists")[-1]["to"] == "ada@example.com"
    identity.close()


# Signing in


@pytest.mark.feature("ID-03")
async def test_address_and_user_name_both_sign_in(identity: Identity, ada: User, clock: ManualClock) -> None:
    assert ada.last_sign_in_at is None
    clock.advance(5)
    assert (await identity.check_password("ADA@example.com", GOOD)).last_sign_in_at == clock.now()
    assert (await identity.check_password(" Ada ", GOOD)).id == ada.id
    assert (await identity.signed_in(ada.id)).id == ada.id


@pytest.mark.feature("ID-03")
async def test_wrong_password_unknown_user_and_disabled_user_are_answered_alike(
    identity: Identity, told: Told, ada: User, root: User
) -> None:
    with current.acting_as(caller(root)):
        await identity.deactivate(ada.id)
    answers = set[str]()
    for login, password, reason in (
        ("root@example.com", OTHER, "password"),
        ("nobody@example.com", OTHER, "unknown"),
        ("ada@example.com", GOOD, "disabled"),
        ("root@example.com", "x" * 1_000_000, "unknown"),
    ):
        with pytest.raises(WrongCredentials) as refused:
            await identity.check_password(login, password)
        answers.add(f"{refused.value} {refused.value.facts}")
        assert told.last("sign_in.failed")["reason"] == reason
    assert len(answers) == 1
    with pytest.raises(WrongCredentials):
        await identity.signed_in(ada.id)


# Profiles


@pytest.mark.feature("ID-13")
async def test_people_change_their_own_name_and_nothing_else(
    identity: Identity, told: Told, ada: User
) -> None:
    with current.acting_as(caller(ada)):
        changed = await identity.update_me(ProfileChanges(full_name="Countess"))
        assert (changed.full_name, changed.username) == ("Countess", "ada")
        assert (await identity.me()) == changed
        assert told.last("user.updated")["changed"] == ["full_name"]
        before = len(told.envelopes)
        await identity.update_me(ProfileChanges(full_name="Countess"))
        assert len(told.envelopes) == before
        for field in ("id", "is_operator", "password_hash", "traits", "email"):
            with pytest.raises(ValidationError):
                ProfileChanges.model_validate({field: "x"})
        await person(identity, "eve@example.com", username="eve")
        with pytest.raises(UsernameTaken):
            await identity.update_me(ProfileChanges(username="eve"))
        assert (await identity.get(ada.id)).id == ada.id
        with pytest.raises(OperatorsOnly):
            await identity.get("usr_other")


# Traits


@pytest.mark.feature("ID-19")
async def test_traits_follow_from_the_rules_or_are_set(
    database: Database, events: Events, letters: Letters, clock: ManualClock
) -> None:
    rules = [
        TraitRule(domain="clinic.example", traits=["hipaa_compliant"]),
        TraitRule(department="IT", traits=["admin_capable"]),
        TraitRule(domain="clinic.example", department="it", traits=["on_call"]),
        TraitRule(traits=["never"]),
    ]
    identity = new_identity(database, events, letters, clock, trait_rules=rules)
    with current.as_system():
        unproved = await identity.import_user(ImportedUser(email="eve@clinic.example", email_verified=False))
        assert unproved.traits == []
        nurse = await identity.import_user(ImportedUser(email="nia@clinic.example"))
        assert nurse.traits == ["hipaa_compliant"]
        techie = await identity.import_user(ImportedUser(email="tom@clinic.example", department="it"))
        assert techie.traits == ["admin_capable", "hipaa_compliant", "on_call"]
        await identity.set_traits(nurse.id, frozenset({"night_shift"}))
        assert (await identity.get(nurse.id)).traits == ["hipaa_compliant", "night_shift"]
    identity.close()
