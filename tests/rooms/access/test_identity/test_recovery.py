"""Mailed links: confirming addresses and setting new passwords."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from bartizan.access.identity import (
    EmailNotVerified,
    EmailOnly,
    Identity,
    LinkNotGood,
    LinkOnly,
    NewPassword,
    NotWhileImpersonating,
    PasswordChange,
    User,
    UserChanges,
    WeakPassword,
    WrongCredentials,
    WrongPassword,
)
from bartizan.backbone.events import Events
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import current
from bartizan.foundation.database import Database
from tests.rooms.access.people import GOOD, OTHER, Letters, Told, caller, new_identity, origin, person

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


@pytest.mark.feature("ID-12")
async def test_of_two_who_reset_with_one_link_at_once_one_succeeds(
    identity: Identity, letters: Letters, ada: User
) -> None:
    await identity.request_password_reset(EmailOnly(email="ada@example.com"))
    new = NewPassword(token=letters.token("reset_password"), password=SecretStr(OTHER))
    answers = await asyncio.gather(*(identity.reset_password(new) for _ in range(2)), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["LinkNotGood", "NoneType"]


@pytest.mark.feature("ID-12")
async def test_of_two_changes_of_a_password_at_once_one_succeeds(identity: Identity, ada: User) -> None:
    change = PasswordChange(current_password=SecretStr(GOOD), new_password=SecretStr(OTHER))
    with current.acting_as(caller(ada)):
        answers = await asyncio.gather(
            *(identity.change_password(change) for _ in range(2)), return_exceptions=True
        )
    assert sorted(type(answer).__name__ for answer in answers) == ["NoneType", "WrongPassword"]
    gone = replace(caller(ada), id="usr_gone", user_id="usr_gone")
    with current.acting_as(gone), pytest.raises(WrongCredentials):
        await identity.change_password(change)
