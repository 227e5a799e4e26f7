"""Sessions: who sees and ends them, what ends them by itself, and acting as somebody else."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from bartizan.access.identity import (
    EmailOnly,
    NewPassword,
    NotWhileImpersonating,
    PasswordChange,
    UnknownUser,
    UserChanges,
)
from bartizan.access.orgs import Closing, MemberChanges
from bartizan.access.sessions import (
    AlreadyImpersonating,
    CannotImpersonate,
    Impersonation,
    NoSession,
    NotImpersonating,
    Refresh,
    RefreshNotGood,
    SessionOver,
    Stopping,
    Tokens,
    UnknownSession,
)
from bartizan.access.sessions.service.devices import name_of
from bartizan.foundation.context import PermissionMissing, current
from tests.rooms.access.people import GOOD, OTHER, Access


async def is_over(floor: Access, *several: Tokens) -> bool:
    """Tell whether every token of these sessions is refused."""
    for tokens in several:
        for token in (tokens.session_token, tokens.access_token):
            try:
                await floor.sessions.authenticate(token or "")
            except SessionOver:
                continue
            return False
        if tokens.refresh_token:
            with pytest.raises(RefreshNotGood):
                await floor.sessions.refresh(Refresh(refresh_token=tokens.refresh_token))
    return True


# Seeing and ending


@pytest.mark.feature("ID-07")
async def test_people_see_their_own_sessions_and_which_one_asks(floor: Access) -> None:
    await floor.register("bob")
    first = await floor.register()
    second = await floor.sign_in(agent="Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0")
    with current.acting_as(await floor.caller(second)):
        newest, oldest = (await floor.sessions.list()).items
        assert (newest.id, newest.device, newest.ip, newest.current) == (
            second.session_id,
            "Edge on Windows",
            "192.0.2.7",
            True,
        )
        assert (oldest.id, oldest.current) == (first.session_id, False)
        await floor.sessions.end_others()
        assert [session.id for session in (await floor.sessions.list()).items] == [second.session_id]
    assert await is_over(floor, first)
    with current.acting_as(await floor.caller(second)):
        await floor.sessions.end(second.session_id)
    assert await is_over(floor, second)
    assert floor.told.last("session.ended")["reason"] == "revoked"


@pytest.mark.feature("ID-07")
async def test_nobody_ends_the_session_of_somebody_else(floor: Access) -> None:
    ada, bob = await floor.register("ada"), await floor.register("bob")
    carl = await floor.member("carl", ada.org_id or "")
    for who, whose in ((ada, bob), (carl, ada)):
        with current.acting_as(await floor.caller(who)):
            with pytest.raises(UnknownSession):
                await floor.sessions.end(whose.session_id)
            with pytest.raises(UnknownSession):
                await floor.sessions.end("ses_nothing")
    with current.acting_as(await floor.caller(carl)):
        with pytest.raises(PermissionMissing):
            await floor.sessions.list_all()
        with pytest.raises(PermissionMissing):
            await floor.sessions.end_all_of(ada.user_id)


@pytest.mark.feature("ID-07")
async def test_admins_see_and_end_the_sessions_of_their_organization_only(floor: Access) -> None:
    ada, bob = await floor.register("ada"), await floor.register("bob")
    carl = await floor.member("carl", ada.org_id or "")
    await floor.orgs.members.join(bob.user_id, "member", org_id=ada.org_id or "", source="added")
    with current.acting_as(await floor.caller(ada)):
        seen = (await floor.sessions.list_all()).items
        assert [session.id for session in seen] == [carl.session_id, ada.session_id]
        assert [one.id for one in (await floor.sessions.list_all(user_id=carl.user_id)).items] == [
            carl.session_id
        ]
        await floor.sessions.end_all_of(bob.user_id)
        await floor.sessions.end(carl.session_id)
    assert await is_over(floor, carl)
    await floor.caller(bob)  # it acts for an organization of their own


@pytest.mark.feature("ID-07")
async def test_operators_see_and_end_all_sessions_page_by_page(floor: Access) -> None:
    ada, bob, root = await floor.register("ada"), await floor.register("bob"), await floor.operator()
    with current.acting_as(await floor.caller(root)):
        first = await floor.sessions.list_all(limit=2)
        second = await floor.sessions.list_all(limit=2, cursor=first.next)
        ids = [session.id for session in (*first.items, *second.items)]
        assert ids == [root.session_id, bob.session_id, ada.session_id]
        await floor.sessions.end(ada.session_id)
        await floor.sessions.end_all_of(bob.user_id)
    assert await is_over(floor, ada, bob)


# What ends sessions


@pytest.mark.feature("X-05", "ID-14")
@pytest.mark.parametrize("what", ["deactivate", "delete"])
async def test_an_account_that_is_switched_off_or_deleted_is_signed_out_everywhere(
    floor: Access, what: str
) -> None:
    owner = await floor.register("owner")
    first = await floor.member("bob", owner.org_id or "")
    second = await floor.sign_in("bob")
    before = len(floor.told.envelopes)
    with current.as_system():
        await getattr(floor.identity, what)(first.user_id)
    assert await is_over(floor, first, second)
    await floor.caller(owner)
    ended = [envelope for envelope in floor.told.envelopes[before:] if envelope.type == "session.ended"]
    assert len(ended) == 2


@pytest.mark.feature("X-05")
async def test_signing_out_with_a_deactivation_is_undone_with_it(floor: Access) -> None:
    owner = await floor.register("owner")
    tokens = await floor.member("bob", owner.org_id or "")

    async def fail() -> None:
        async with floor.database.transaction():
            with current.as_system():
                await floor.identity.deactivate(tokens.user_id)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await floor.caller(tokens)


@pytest.mark.feature("X-05", "ID-12")
async def test_a_new_password_ends_the_other_sessions(floor: Access) -> None:
    first = await floor.register()
    second = await floor.sign_in()
    with current.acting_as(await floor.caller(second)):
        change = PasswordChange(current_password=SecretStr(GOOD), new_password=SecretStr(OTHER))
        await floor.identity.change_password(change)
    assert await is_over(floor, first)
    await floor.caller(second)
    await floor.identity.request_password_reset(EmailOnly(email="ada@example.com"))
    new = NewPassword(token=floor.letters.token("reset_password"), password=SecretStr(GOOD))
    await floor.identity.reset_password(new)
    assert await is_over(floor, second)


@pytest.mark.feature("X-05")
async def test_who_leaves_or_is_suspended_is_signed_out_of_that_organization(floor: Access) -> None:
    owner = await floor.register("owner")
    org_id = owner.org_id or ""
    bob, carl = await floor.member("bob", org_id), await floor.member("carl", org_id)
    with current.acting_as(await floor.caller(owner)):
        await floor.orgs.members.delete(bob.user_id)
        await floor.orgs.members.update(carl.user_id, MemberChanges(status="suspended"))
    assert await is_over(floor, bob, carl)
    assert (await floor.caller(await floor.sign_in("carl"))).org_id is None


async def test_a_closed_organization_leaves_its_people_signed_in_but_acting_for_none(floor: Access) -> None:
    owner = await floor.register("owner")
    caller = await floor.caller(owner)
    with current.acting_as(caller):
        slug = (await floor.orgs.get(caller.org_id or "")).slug
        await floor.orgs.delete(caller.org_id or "", Closing(confirm=slug))
    assert (await floor.caller(owner)).org_id is None


# Acting as somebody else


async def acting(floor: Access, who: Tokens, whom: str, **more: Any) -> Tokens:
    with current.acting_as(await floor.caller(who)):
        return await floor.sessions.impersonate(
            Impersonation(user_id=whom, reason="Support case 4711", **more)
        )


@pytest.mark.feature("ID-18")
async def test_an_admin_acts_as_a_member_with_the_rights_of_both_and_both_on_record(floor: Access) -> None:
    owner = await floor.register("owner")
    org_id = owner.org_id or ""
    admin, dev = await floor.member("admin", org_id, "admin"), await floor.member("dev", org_id, "developer")
    await floor.rbac.place(dev.user_id, ["developer"], org_id=org_id)
    tokens = await acting(floor, admin, dev.user_id)
    assert tokens.refresh_token is None
    caller = await floor.caller(tokens)
    assert (caller.user_id, caller.actor_id) == (dev.user_id, admin.user_id)
    assert caller.roles == {"developer"}
    both = (await floor.caller(admin)).permissions & (
        await floor.rbac.effective(dev.user_id, org_id)
    ).permissions
    assert caller.permissions == both
    started = floor.told.last("impersonation.started")
    assert (started["user_id"], started["actor_id"]) == (dev.user_id, admin.user_id)
    assert started["reason"] == "Support case 4711"
    claims = await floor.signing_keys.verify(tokens.access_token or "", typ="at+jwt")
    assert claims["act"] == {"sub": admin.user_id}
    with current.acting_as(caller):
        assert (await floor.sessions.me()).impersonator == admin.user_id
        assert floor.told.envelopes[-1].type != "session.ended"
        back = await floor.sessions.stop_impersonating(Stopping())
    assert floor.told.last("impersonation.stopped")["actor_id"] == admin.user_id
    assert (await floor.caller(back)).user_id == admin.user_id
    assert back.session_id == admin.session_id
    with pytest.raises(SessionOver):
        await floor.caller(tokens)


@pytest.mark.feature("ID-18")
async def test_acting_as_the_owner_gives_an_admin_nothing_more(floor: Access) -> None:
    owner = await floor.register("owner")
    admin = await floor.member("admin", owner.org_id or "", "admin")
    caller = await floor.caller(await acting(floor, admin, owner.user_id))
    assert "orgs:delete" in (await floor.caller(owner)).permissions
    assert "orgs:delete" not in caller.permissions
    assert caller.permissions <= (await floor.caller(admin)).permissions


@pytest.mark.feature("ID-18")
async def test_it_ends_after_a_quarter_of_an_hour_or_when_the_actor_may_no_longer(floor: Access) -> None:
    owner = await floor.register("owner")
    org_id = owner.org_id or ""
    admin, dev = await floor.member("admin", org_id, "admin"), await floor.member("dev", org_id)
    tokens = await acting(floor, admin, dev.user_id)
    assert tokens.expires_in == 900
    floor.clock.advance(899)
    await floor.caller(tokens)
    floor.clock.advance(1)
    with pytest.raises(SessionOver):
        await floor.caller(tokens)
    again = await acting(floor, admin, dev.user_id)
    await floor.rbac.place(admin.user_id, ["member"], org_id=org_id)
    with pytest.raises(SessionOver):
        await floor.caller(again)
    await floor.rbac.place(admin.user_id, ["admin"], org_id=org_id)
    last = await acting(floor, admin, dev.user_id)
    with current.as_system():
        await floor.identity.deactivate(admin.user_id)
    with pytest.raises(SessionOver):
        await floor.caller(last)


@pytest.mark.feature("ID-18")
async def test_whom_nobody_can_act_as(floor: Access) -> None:
    owner, stranger, root = (
        await floor.register("owner"),
        await floor.register("stranger"),
        await floor.operator(),
    )
    org_id = owner.org_id or ""
    member = await floor.member("member", org_id)
    with pytest.raises(PermissionMissing):
        await acting(floor, member, owner.user_id)
    for whom in (stranger.user_id, "usr_nobody", root.user_id):
        with pytest.raises(UnknownUser):
            await acting(floor, owner, whom)
    with pytest.raises(CannotImpersonate):
        await acting(floor, owner, owner.user_id)
    with current.as_system():
        await floor.identity.update(member.user_id, UserChanges(is_operator=True))
    with pytest.raises(CannotImpersonate):
        await acting(floor, owner, member.user_id)
    request = Impersonation(user_id=member.user_id, reason="because")
    with current.acting_as(replace(await floor.caller(owner), session_id=None)), pytest.raises(NoSession):
        await floor.sessions.impersonate(request)


@pytest.mark.feature("ID-18")
async def test_it_is_not_nested_and_leaves_the_person_alone(floor: Access) -> None:
    owner = await floor.register("owner")
    dev = await floor.member("dev", owner.org_id or "")
    caller = await floor.caller(await acting(floor, owner, dev.user_id))
    with current.acting_as(caller):
        with pytest.raises(AlreadyImpersonating):
            await floor.sessions.impersonate(Impersonation(user_id=dev.user_id, reason="deeper"))
        for refused in (floor.sessions.end_others(), floor.identity.update_me(UserChanges())):
            with pytest.raises(NotWhileImpersonating):
                await refused
        with pytest.raises(UnknownSession):
            await floor.sessions.end(dev.session_id)
    with current.acting_as(await floor.caller(owner)), pytest.raises(NotImpersonating):
        await floor.sessions.stop_impersonating()


@pytest.mark.feature("ID-18")
async def test_operators_act_as_anybody_in_the_persons_own_organization(floor: Access) -> None:
    ada, root = await floor.register(), await floor.operator()
    tokens = await acting(floor, root, ada.user_id)
    caller = await floor.caller(tokens)
    assert (caller.org_id, caller.operator, caller.actor_id) == (ada.org_id, False, root.user_id)
    assert caller.permissions == (await floor.caller(ada)).permissions
    with current.acting_as(await floor.caller(root)):
        await floor.sessions.end(root.session_id)
    with current.acting_as(caller), pytest.raises(SessionOver):
        await floor.sessions.stop_impersonating()
    with pytest.raises(SessionOver):
        await floor.caller(tokens)


# Devices


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (None, "Unknown device"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605 Version/18 Safari/605",
            "Safari on macOS",
        ),
        (
            "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537 Chrome/140.0 Mobile Safari/537",
            "Chrome on Android",
        ),
        ("python-httpx/0.28.1", "python-httpx"),
        ("(nothing)", "Unknown device"),
        ("Something Windows", "Windows"),
    ],
)
def test_a_device_has_a_name_people_recognize(agent: str | None, name: str) -> None:
    assert name_of(agent) == name
