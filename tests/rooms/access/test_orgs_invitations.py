import asyncio
from dataclasses import replace

import pytest

from bartizan.access.orgs import (
    Acceptance,
    AlreadyAMember,
    InvitationForAnother,
    InvitationNotPending,
    InviterMayNot,
    NewInvitation,
    NewOrganization,
    PlanChanges,
    PlanLimitReached,
    UnknownInvitation,
    UnknownPerson,
    UnknownTeam,
)
from bartizan.access.rbac import CannotConfer
from bartizan.foundation.context import Caller, PermissionMissing, current
from tests.harness.access import Company, Floor, Somebody

pytestmark = pytest.mark.feature("TEN-04")


@pytest.fixture
async def acme(floor: Floor) -> Company:
    return await floor.organization()


def link(floor: Floor) -> Acceptance:
    return Acceptance(token=floor.town.letters[-1]["url"].rpartition("token=")[2])


def alone(person: Somebody) -> Caller:
    return Caller(id=person.id, kind="user", user_id=person.id, email=person.email)


async def test_an_invitation_lets_its_reader_in_once(floor: Floor, acme: Company) -> None:
    team = await acme.default_team()
    with current.acting_as(await acme.caller()):
        sent = await floor.orgs.invitations.create(
            NewInvitation(email="Ann@Acme.example", role="developer", team_id=team)
        )
    [letter] = floor.town.letters
    assert (letter["to"], letter["template"], letter["organization"], letter["inviter"]) == (
        "ann@acme.example",
        "invitation",
        "Acme",
        acme.owner.full_name,
    )
    opened = await floor.orgs.invitations.read(link(floor))
    assert (opened.organization, opened.email, opened.role) == ("Acme", "ann@acme.example", "developer")
    ann = floor.town.register("ann")
    with current.acting_as(alone(ann)):
        joined = await floor.orgs.invitations.accept(link(floor))
        assert joined.org_id == acme.id
        with pytest.raises(UnknownInvitation):
            await floor.orgs.invitations.accept(link(floor))
    membership = await floor.orgs.membership(ann.id, acme.id, team)
    assert membership is not None
    assert membership.roles == {"developer"}
    with current.acting_as(await acme.caller()):
        shown = await floor.orgs.invitations.get(sent.id)
        assert shown.status == "accepted"
        for ask in (floor.orgs.invitations.resend, floor.orgs.invitations.delete):
            with pytest.raises(InvitationNotPending):
                await ask(sent.id)
    assert [e.data["user_id"] for e in floor.heard("invitation.accepted")] == [ann.id]


async def test_the_token_is_never_stored(floor: Floor, acme: Company) -> None:
    with current.acting_as(await acme.caller()):
        await floor.orgs.invitations.create(NewInvitation(email="ann@acme.example"))
    told = "".join(str(envelope.as_cloudevent()) for envelope in floor.told)
    assert link(floor).token not in told


async def test_two_acceptances_at_once_make_one_member(floor: Floor, acme: Company) -> None:
    with current.acting_as(await acme.caller()):
        await floor.orgs.invitations.create(NewInvitation(email="ann@acme.example"))
    ann = floor.town.register("ann")

    async def accept() -> object:
        with current.acting_as(alone(ann)):
            return await floor.orgs.invitations.accept(link(floor))

    done = await asyncio.gather(*(accept() for _ in range(5)), return_exceptions=True)
    refusals = [one for one in done if isinstance(one, BaseException)]
    assert len(refusals) == 4
    assert {type(one) for one in refusals} <= {UnknownInvitation, AlreadyAMember}


async def test_an_invitation_is_good_for_72_hours_and_resending_renews_it(
    floor: Floor, acme: Company
) -> None:
    ann = floor.town.register("ann")
    with current.acting_as(await acme.caller()):
        sent = await floor.orgs.invitations.create(NewInvitation(email=ann.email))
    first = link(floor)
    floor.clock.advance(72 * 3600 - 1)
    await floor.orgs.invitations.read(first)
    floor.clock.advance(1)
    with pytest.raises(UnknownInvitation):
        await floor.orgs.invitations.read(first)
    with current.acting_as(await acme.caller()):
        assert (await floor.orgs.invitations.get(sent.id)).status == "expired"
        assert (await floor.orgs.invitations.resend(sent.id)).status == "pending"
    with current.acting_as(alone(ann)):
        with pytest.raises(UnknownInvitation):
            await floor.orgs.invitations.accept(first)
        assert (await floor.orgs.invitations.accept(link(floor))).org_id == acme.id


async def test_a_withdrawn_invitation_is_dead_and_a_new_one_replaces_the_old(
    floor: Floor, acme: Company
) -> None:
    ann = floor.town.register("ann")
    with current.acting_as(await acme.caller()):
        first = await floor.orgs.invitations.create(NewInvitation(email=ann.email))
        old = link(floor)
        second = await floor.orgs.invitations.create(NewInvitation(email=ann.email))
        page = await floor.orgs.invitations.list(limit=1)
        rest = await floor.orgs.invitations.list(cursor=page.next)
        assert [(i.id, i.status) for i in [*page.items, *rest.items]] == [
            (second.id, "pending"),
            (first.id, "revoked"),
        ]
        await floor.orgs.invitations.delete(second.id)
        with pytest.raises(UnknownInvitation):
            await floor.orgs.invitations.delete("inv_none")
    for token in (old, link(floor), Acceptance(token="x" * 43)):
        with current.acting_as(alone(ann)), pytest.raises(UnknownInvitation):
            await floor.orgs.invitations.accept(token)


async def test_an_invitation_is_bound_to_its_address(floor: Floor, acme: Company) -> None:
    with current.acting_as(await acme.caller()):
        await floor.orgs.invitations.create(NewInvitation(email="ann@acme.example"))
    eve = floor.town.register("eve")
    with current.acting_as(alone(eve)), pytest.raises(InvitationForAnother):
        await floor.orgs.invitations.accept(link(floor))
    ann = floor.town.register("ann")
    floor.town.registered[ann.id] = replace(ann, is_active=False)
    with current.acting_as(alone(ann)), pytest.raises(UnknownPerson):
        await floor.orgs.invitations.accept(link(floor))


async def test_members_are_not_invited_again(floor: Floor, acme: Company) -> None:
    ann = await acme.hire("ann")
    with current.acting_as(await acme.caller()):
        with pytest.raises(AlreadyAMember):
            await floor.orgs.invitations.create(NewInvitation(email=ann.email))
        with pytest.raises(UnknownTeam):
            await floor.orgs.invitations.create(NewInvitation(email="x@acme.example", team_id="tea_none"))
        bob = floor.town.register("bob")
        await floor.orgs.invitations.create(NewInvitation(email=bob.email))
    with current.as_system(acme.id):
        await floor.orgs.members.join(bob.id, "viewer", org_id=acme.id, source="added")
    with current.acting_as(alone(bob)), pytest.raises(AlreadyAMember):
        await floor.orgs.invitations.accept(link(floor))


async def test_nobody_invites_above_themselves(floor: Floor, acme: Company) -> None:
    ann = await acme.hire("ann", "admin")
    bob = await acme.hire("bob", "member")
    with current.acting_as(await acme.caller(ann)), pytest.raises(CannotConfer):
        await floor.orgs.invitations.create(NewInvitation(email="x@acme.example", role="owner"))
    with current.acting_as(await acme.caller(bob)), pytest.raises(PermissionMissing, match="orgs:invite"):
        await floor.orgs.invitations.create(NewInvitation(email="x@acme.example", role="viewer"))


async def test_an_invitation_dies_with_the_rights_of_who_sent_it(floor: Floor, acme: Company) -> None:
    ann = await acme.hire("ann", "admin")
    eve = floor.town.register("eve")
    with current.acting_as(await acme.caller(ann)):
        await floor.orgs.invitations.create(NewInvitation(email=eve.email, role="admin"))
    await floor.rbac.place(ann.id, ["viewer"], org_id=acme.id)
    with current.acting_as(alone(eve)), pytest.raises(InviterMayNot):
        await floor.orgs.invitations.accept(link(floor))
    with current.as_system(acme.id):
        await floor.orgs.invitations.create(NewInvitation(email=eve.email, role="owner"))
    with current.acting_as(alone(eve)):
        assert (await floor.orgs.invitations.accept(link(floor))).org_id == acme.id


@pytest.mark.feature("TEN-10")
async def test_pending_invitations_count_as_seats(floor: Floor, acme: Company) -> None:
    with current.as_system():
        await floor.orgs.plan(acme.id, PlanChanges(limits={"seats": 2}))
    with current.acting_as(await acme.caller()):
        await floor.orgs.invitations.create(NewInvitation(email="a@acme.example"))
        with pytest.raises(PlanLimitReached):
            await floor.orgs.invitations.create(NewInvitation(email="b@acme.example"))
        assert len(floor.town.letters) == 1


async def test_registering_and_joining_are_one_transaction(floor: Floor, acme: Company) -> None:
    with current.acting_as(await acme.caller()):
        await floor.orgs.invitations.create(NewInvitation(email="ann@acme.example"))
    ann = floor.town.register("ann")

    async def register_and_fail() -> None:
        async with floor.database.transaction():
            await floor.orgs.invitations.redeem(link(floor).token, ann.id)
            await floor.orgs.create(NewOrganization(name="Also"), owner_id=ann.id)
            raise RuntimeError("undo")

    with pytest.raises(RuntimeError):
        await register_and_fail()
    assert await floor.orgs.of(ann.id) == []
    assert await floor.orgs.invitations.redeem(link(floor).token, ann.id) == acme.id
