"""Accounts, as operators of the platform see and change them."""

import pytest
from pydantic import SecretStr, ValidationError

from bartizan.access.identity import (
    EmailOnly,
    EmailTaken,
    Identity,
    ImportedUser,
    LinkNotGood,
    NewPassword,
    NotYourself,
    UnknownHash,
    UnknownUser,
    User,
    UserChanges,
    WrongCredentials,
)
from bartizan.foundation.context import OperatorsOnly, current
from tests.rooms.access.people import GOOD, OTHER, Letters, Told, caller, person

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
