"""Accounts: opening them, confirming addresses, new passwords, profiles, and what operators do."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from bartizan.access.identity import (
    DomainNotAllowed,
    EmailNotVerified,
    EmailOnly,
    EmailTaken,
    Identity,
    ImportedUser,
    LinkNotGood,
    LinkOnly,
    NewPassword,
    NewUser,
    NotWhileImpersonating,
    NotYourself,
    PasswordChange,
    ProfileChanges,
    RegistrationClosed,
    TraitRule,
    UnknownHash,
    UnknownUser,
    User,
    UserChanges,
    UsernameTaken,
    WeakPassword,
    WrongCredentials,
    WrongPassword,
)
from bartizan.backbone.events import Events
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import OperatorsOnly, current
from bartizan.foundation.database import Database
from tests.rooms.access.people import GOOD, OTHER, Letters, Told, caller, new_identity, origin, person

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def letters(tmp_path: Path) -> Letters:
    return Letters(tmp_path / "letters")


@pytest.fixture
def events(database: Database, clock: ManualClock) -> Events:
    return Events(database, clock=clock)


@pytest.fixture
def told(events: Events) -> Told:
    return Told(events)


@pytest.fixture
async def identity(
    database: Database, events: Events, letters: Letters, clock: ManualClock
) -> AsyncGenerator[Identity]:
    identity = new_identity(database, events, letters, clock)
    yield identity
    identity.close()


@pytest.fixture
async def ada(identity: Identity) -> User:
    return await person(identity, username="Ada", full_name="Ada Lovelace")


@pytest.fixture
async def root(identity: Identity) -> User:
    return await person(identity, "root@example.com", operator=True)


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


# Confirming an address


@pytest.mark.feature("ID-11")
async def test_an_unconfirmed_address_cannot_sign_in_until_its_link_is_followed_once(
    database: Database, events: Events, letters: Letters, clock: ManualClock, told: Told
) -> None:
    identity = new_identity(database, events, letters, clock, verify_email=True)
    await person(identity, verified=False, full_name="Ada")
    with pytest.raises(EmailNotVerified):
        await identity.check_password("ada@example.com", GOOD)
    with pytest.raises(WrongCredentials):
        await identity.check_password("ada@example.com", OTHER)
    token = letters.token("verify_email")
    assert letters.all()[-1]["url"] == f"https://app.example/_bartizan/verify?token={token}"
    assert (await identity.verify_email(LinkOnly(token=token))).email_verified_at == clock.now()
    assert told.names().count("email.verified") == 1
    assert (await identity.check_password("ada@example.com", GOOD)).email == "ada@example.com"
    with pytest.raises(LinkNotGood):
        await identity.verify_email(LinkOnly(token=token))
    identity.close()


@pytest.mark.feature("ID-11")
async def test_a_confirmation_link_gets_old_and_is_replaced_by_a_newer_one(
    database: Database, events: Events, letters: Letters, clock: ManualClock
) -> None:
    identity = new_identity(database, events, letters, clock, verify_email=True, verification_hours=1)
    await person(identity, verified=False)
    first = letters.token("verify_email")
    await identity.request_verification(EmailOnly(email="ada@example.com"))
    assert len(letters.all("verify_email")) == 1, "one was mailed a moment ago"
    clock.advance(61)
    await identity.request_verification(EmailOnly(email="ada@example.com"))
    await identity.request_verification(EmailOnly(email="nobody@example.com"))
    second = letters.token("verify_email")
    assert len(letters.all("verify_email")) == 2
    with pytest.raises(LinkNotGood):
        await identity.verify_email(LinkOnly(token=first))
    clock.advance(3601)
    with pytest.raises(LinkNotGood):
        await identity.verify_email(LinkOnly(token=second))
    identity.close()


@pytest.mark.feature("ID-11")
async def test_mail_that_reaches_people_makes_confirmation_the_default(
    database: Database, events: Events, tmp_path: Path, clock: ManualClock
) -> None:
    reaching, printing = Letters(tmp_path / "a", delivers=True), Letters(tmp_path / "b")
    on, off = new_identity(database, events, reaching, clock), new_identity(database, events, printing, clock)
    assert (on.verifies_email, off.verifies_email) == (True, False)
    on.close()
    off.close()


@pytest.mark.feature("ID-11")
async def test_a_link_says_nothing_about_an_address_that_came_later(
    identity: Identity, letters: Letters, root: User
) -> None:
    user = await person(identity, verified=False)
    await identity.request_verification(EmailOnly(email="ada@example.com"))
    token = letters.token("verify_email")
    with current.acting_as(caller(root)):
        changed = await identity.update(user.id, UserChanges(email="new@example.com"))
        assert changed.email_verified_at is None
        await identity.resend_verification(user.id)
        await identity.resend_verification(root.id)
    with pytest.raises(LinkNotGood):
        await identity.verify_email(LinkOnly(token=token))
    assert letters.all("verify_email")[-1]["to"] == "new@example.com"
    assert len(letters.all("verify_email")) == 2


# New passwords


@pytest.mark.feature("ID-12")
async def test_a_mailed_link_sets_a_new_password_once(
    identity: Identity, letters: Letters, told: Told, ada: User
) -> None:
    with current.receiving(origin("192.0.2.9")):
        await identity.request_password_reset(EmailOnly(email="ADA@example.com"))
    await identity.request_password_reset(EmailOnly(email="nobody@example.com"))
    [letter] = letters.all()
    assert (letter["to"], letter["template"], letter["ip"]) == (
        "ada@example.com",
        "reset_password",
        "192.0.2.9",
    )
    new = NewPassword(token=letters.token("reset_password"), password=SecretStr(OTHER))
    with pytest.raises(WeakPassword):
        await identity.reset_password(new.model_copy(update={"password": SecretStr("password123!")}))
    await identity.reset_password(new)
    assert told.last("password.reset") == {"user_id": ada.id}
    assert letters.all()[-1]["template"] == "password_changed"
    assert (await identity.check_password("ada", OTHER)).id == ada.id
    with pytest.raises(WrongCredentials):
        await identity.check_password("ada", GOOD)
    with pytest.raises(LinkNotGood):
        await identity.reset_password(new)


@pytest.mark.feature("ID-12")
async def test_a_reset_link_gets_old_and_works_for_nothing_else(
    identity: Identity, letters: Letters, ada: User, clock: ManualClock
) -> None:
    await identity.request_password_reset(EmailOnly(email="ada@example.com"))
    token = letters.token("reset_password")
    with pytest.raises(LinkNotGood):
        await identity.verify_email(LinkOnly(token=token))
    clock.advance(3601)
    with pytest.raises(LinkNotGood):
        await identity.reset_password(NewPassword(token=token, password=SecretStr(OTHER)))


@pytest.mark.feature("ID-12")
async def test_changing_a_password_needs_the_current_one(
    identity: Identity, letters: Letters, told: Told, ada: User
) -> None:
    with current.acting_as(caller(ada, session_id="ses_1")):
        wrong = PasswordChange(current_password=SecretStr(OTHER), new_password=SecretStr(OTHER))
        with pytest.raises(WrongPassword):
            await identity.change_password(wrong)
        right = PasswordChange(current_password=SecretStr(GOOD), new_password=SecretStr(OTHER))
        await identity.change_password(right)
    assert told.last("password.changed") == {"user_id": ada.id, "keep": "ses_1"}
    assert letters.all()[-1]["template"] == "password_changed"
    assert (await identity.check_password("ada", OTHER)).id == ada.id
    with current.acting_as(caller(ada, actor_id="usr_other")), pytest.raises(NotWhileImpersonating):
        await identity.change_password(right)


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


# Operators


@pytest.mark.feature("ID-14")
async def test_operators_list_twenty_people_a_page_and_narrow_the_list(
    identity: Identity, root: User, ada: User
) -> None:
    hashed = "pbkdf2_sha256$1$salt$" + "A" * 43 + "="
    with current.acting_as(caller(root)):
        for number in range(21):
            await identity.import_user(ImportedUser(email=f"p{number}@example.com", password_hash=hashed))
        first = await identity.list()
        assert len(first.items) == 20
        second = await identity.list(cursor=first.next)
        assert [len(second.items), second.next] == [3, None]
        assert [user.id for user in (await identity.list(search="ADA L")).items] == [ada.id]
        assert (await identity.list(search="%")).items == []
        assert [user.id for user in (await identity.list(operator=True)).items] == [root.id]
        await identity.deactivate(ada.id)
        assert [user.id for user in (await identity.list(active=False)).items] == [ada.id]
    with current.acting_as(caller(ada)):
        for call in (identity.list(), identity.deactivate(root.id), identity.update(root.id, UserChanges())):
            with pytest.raises(OperatorsOnly):
                await call


@pytest.mark.feature("ID-14")
async def test_operators_change_accounts_but_nobody_their_own_rank(
    identity: Identity, told: Told, root: User, ada: User
) -> None:
    with current.acting_as(caller(root)):
        changes = UserChanges(is_operator=True, traits=["b", "a", "b"], department="Ward 3", full_name=None)
        changed = await identity.update(ada.id, changes)
        assert (changed.is_operator, changed.traits, changed.full_name) == (True, ["a", "b"], None)
        assert told.last("user.updated")["changed"] == ["department", "full_name", "is_operator", "traits"]
        unverified = await identity.update(ada.id, UserChanges(email_verified=False, email=None))
        assert (unverified.email_verified_at, unverified.email) == (None, "ada@example.com")
        with pytest.raises(EmailTaken):
            await identity.update(ada.id, UserChanges(email="root@example.com"))
        for refused in (
            identity.update(root.id, UserChanges(is_operator=False)),
            identity.deactivate(root.id),
            identity.delete(root.id),
        ):
            with pytest.raises(NotYourself):
                await refused
        for field in ("id", "password_hash", "created_at"):
            with pytest.raises(ValidationError):
                UserChanges.model_validate({field: "x"})
        with pytest.raises(UnknownUser):
            await identity.get("usr_nobody")
        with pytest.raises(UnknownUser):
            await identity.update("usr_nobody", UserChanges())


@pytest.mark.feature("ID-14")
async def test_a_switched_off_account_comes_back_as_it_was(
    identity: Identity, told: Told, letters: Letters, root: User, ada: User
) -> None:
    await identity.request_password_reset(EmailOnly(email="ada@example.com"))
    with current.acting_as(caller(root)):
        assert not (await identity.deactivate(ada.id)).is_active
        await identity.deactivate(ada.id)
        assert told.names().count("user.deactivated") == 1
        reset = NewPassword(token=letters.token("reset_password"), password=SecretStr(OTHER))
        with pytest.raises(LinkNotGood):
            await identity.reset_password(reset)
        assert (await identity.reactivate(ada.id)).is_active
    assert (await identity.check_password("ada", GOOD)).id == ada.id


@pytest.mark.feature("ID-14")
async def test_a_deleted_account_leaves_nothing_personal_and_frees_its_address(
    identity: Identity, told: Told, root: User, ada: User
) -> None:
    with current.acting_as(caller(root)):
        await identity.delete(ada.id)
        with pytest.raises(UnknownUser):
            await identity.get(ada.id)
        assert [user.id for user in (await identity.list()).items] == [root.id]
    assert told.last("user.deleted") == {"user_id": ada.id}
    assert await identity.people([ada.id]) == {}
    assert await identity.people([]) == {}
    again = await person(identity, username="ada")
    assert again.id != ada.id
    with current.acting_as(caller(ada)), pytest.raises(UnknownUser):
        await identity.me()


@pytest.mark.feature("ID-14")
async def test_an_imported_account_without_a_hash_sets_a_password_by_mail(
    identity: Identity, letters: Letters, root: User
) -> None:
    with current.acting_as(caller(root)):
        imported = await identity.import_user(ImportedUser(email="bob@example.com", department="Lab"))
        with pytest.raises(UnknownHash):
            await identity.import_user(ImportedUser(email="eve@example.com", password_hash="$md5$abc"))
    assert imported.department == "Lab"
    with pytest.raises(WrongCredentials):
        await identity.check_password("bob@example.com", "")
    await identity.request_password_reset(EmailOnly(email="bob@example.com"))
    new = NewPassword(token=letters.token("reset_password"), password=SecretStr(OTHER))
    await identity.reset_password(new)
    assert (await identity.check_password("bob@example.com", OTHER)).id == imported.id


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
