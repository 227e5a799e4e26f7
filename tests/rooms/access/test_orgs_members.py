import pytest

from bartizan.access.orgs import (
    AlreadyAMember,
    MemberChanges,
    NewMember,
    NewTeam,
    NewTeamMember,
    NewWorkspace,
    SlugTaken,
    TeamChanges,
    TeamMemberChanges,
    UnknownMember,
    UnknownPerson,
    UnknownTeam,
    UnknownWorkspace,
    WorkspaceChanges,
)
from bartizan.access.rbac import CannotConfer, LastOwner
from bartizan.foundation.context import PermissionMissing, current
from tests.harness.access import Company, Floor


@pytest.fixture
async def acme(floor: Floor) -> Company:
    return await floor.organization()


@pytest.mark.feature("TEN-03")
async def test_members_are_added_listed_changed_and_removed(floor: Floor, acme: Company) -> None:
    ann = floor.town.register("ann")
    with current.acting_as(await acme.caller()):
        added = await floor.orgs.members.create(NewMember(user_id=ann.id, role="viewer"))
        assert (added.roles, added.email, added.source) == (["viewer"], ann.email, "added")
        changed = await floor.orgs.members.update(ann.id, MemberChanges(role="user"))
        assert (changed.roles, changed.status) == (["member"], "active")
        page = await floor.orgs.members.list()
        assert [member.user_id for member in page.items] == [ann.id, acme.owner.id]
        first = await floor.orgs.members.list(limit=1)
        rest = await floor.orgs.members.list(limit=1, cursor=first.next)
        assert [member.user_id for member in [*first.items, *rest.items]] == [ann.id, acme.owner.id]
        with pytest.raises(AlreadyAMember):
            await floor.orgs.members.create(NewMember(user_id=ann.id))
        await floor.orgs.members.delete(ann.id)
        for ask in (floor.orgs.members.get(ann.id), floor.orgs.members.delete(ann.id)):
            with pytest.raises(UnknownMember):
                await ask
    assert (await floor.rbac.effective(ann.id, acme.id)).permissions == frozenset()
    assert [envelope.data["user_id"] for envelope in floor.heard("member.removed")] == [ann.id]


async def test_only_an_active_account_becomes_a_member(floor: Floor, acme: Company) -> None:
    gone = floor.town.register("gone")
    await floor.town.deactivate(gone.id)
    with current.acting_as(await acme.caller()):
        for user_id in (gone.id, "usr_nobody"):
            with pytest.raises(UnknownPerson):
                await floor.orgs.members.create(NewMember(user_id=user_id))


@pytest.mark.feature("TEN-03")
async def test_a_suspended_member_holds_nothing_until_resumed(floor: Floor, acme: Company) -> None:
    ann = await acme.hire("ann", "admin")
    with current.acting_as(await acme.caller()):
        shown = await floor.orgs.members.update(ann.id, MemberChanges(status="suspended"))
        assert (shown.status, shown.roles) == ("suspended", ["admin"])
        assert (await floor.rbac.effective(ann.id, acme.id)).permissions == frozenset()
        assert [m.user_id for m in (await floor.orgs.members.list(status="suspended")).items] == [ann.id]
        await floor.orgs.members.update(ann.id, MemberChanges(role="viewer"))
        assert (await floor.rbac.effective(ann.id, acme.id)).permissions == frozenset()
        await floor.orgs.members.update(ann.id, MemberChanges(status="active"))
        await floor.orgs.members.update(ann.id, MemberChanges(status="active"))
        await floor.orgs.members.resume(ann.id, org_id=acme.id)
    assert (await floor.rbac.effective(ann.id, acme.id)).roles == {"viewer"}
    assert (len(floor.heard("member.suspended")), len(floor.heard("member.resumed"))) == (1, 1)


@pytest.mark.feature("TEN-03")
async def test_the_last_owner_can_neither_leave_nor_be_suspended(floor: Floor, acme: Company) -> None:
    with current.acting_as(await acme.caller()):
        for ask in (
            floor.orgs.members.leave,
            lambda: floor.orgs.members.update(acme.owner.id, MemberChanges(status="suspended")),
            lambda: floor.orgs.members.update(acme.owner.id, MemberChanges(role="viewer")),
            lambda: floor.orgs.members.delete(acme.owner.id),
        ):
            with pytest.raises(LastOwner):
                await ask()
    with pytest.raises(LastOwner):
        await floor.town.delete(acme.owner.id)
    second = await acme.hire("second", "owner")
    await floor.town.deactivate(acme.owner.id)
    with current.acting_as(await acme.caller(second)), pytest.raises(LastOwner):
        await floor.orgs.members.leave()


@pytest.mark.feature("ID-14", "X-05")
async def test_an_account_that_was_taken_over_is_stopped_even_if_it_is_the_only_owners(
    floor: Floor, acme: Company
) -> None:
    await floor.town.deactivate(acme.owner.id)
    assert not (await floor.rbac.effective(acme.owner.id, acme.id)).permissions
    await floor.town.reactivate(acme.owner.id)
    assert "orgs:write" in (await floor.rbac.effective(acme.owner.id, acme.id)).permissions


async def test_members_leave(floor: Floor, acme: Company) -> None:
    ann = await acme.hire("ann", "viewer")
    with current.acting_as(await acme.caller(ann)):
        await floor.orgs.members.leave()
    assert await floor.orgs.membership(ann.id, acme.id) is None


@pytest.mark.feature("X-05")
async def test_an_account_that_is_deactivated_holds_nothing_anywhere(floor: Floor, acme: Company) -> None:
    globex = await floor.organization("Globex")
    ann = await acme.hire("ann", "admin")
    with current.as_system(globex.id):
        await floor.orgs.members.join(ann.id, "viewer", org_id=globex.id, source="added")
        await floor.orgs.members.suspend(ann.id, org_id=globex.id)
    await floor.town.deactivate(ann.id)
    assert (await floor.rbac.effective(ann.id, acme.id)).permissions == frozenset()
    await floor.town.reactivate(ann.id)
    assert (await floor.rbac.effective(ann.id, acme.id)).roles == {"admin"}
    assert (await floor.rbac.effective(ann.id, globex.id)).roles == frozenset()
    await floor.town.delete(ann.id)
    assert await floor.orgs.of(ann.id) == []
    assert len(floor.heard("member.removed")) == 2


@pytest.mark.feature("TEN-02")
async def test_teams_are_made_listed_changed_and_deleted(floor: Floor, acme: Company) -> None:
    with current.acting_as(await acme.caller()):
        team = await floor.orgs.teams.create(NewTeam(name="Käse & Söhne", description="Cheese"))
        assert (team.slug, team.is_default, team.description) == ("kase-sohne", False, "Cheese")
        with pytest.raises(SlugTaken):
            await floor.orgs.teams.create(NewTeam(name="x", slug="kase-sohne"))
        assert [t.name for t in (await floor.orgs.teams.list()).items] == ["Käse & Söhne", "General"]
        page = await floor.orgs.teams.list(limit=1)
        assert [t.name for t in (await floor.orgs.teams.list(cursor=page.next)).items] == ["General"]
        changed = await floor.orgs.teams.update(team.id, TeamChanges(name="Cheese"))
        assert await floor.orgs.teams.get(team.id) == changed
        assert (changed.name, changed.description) == ("Cheese", "Cheese")
        place = await floor.orgs.workspaces.create(NewWorkspace(name="Cellar", team_id=team.id))
        await floor.orgs.teams.delete(team.id)
        with pytest.raises(UnknownTeam):
            await floor.orgs.teams.get(team.id)
        with pytest.raises(UnknownWorkspace):
            await floor.orgs.workspaces.get(place.id)
        assert (await floor.rbac.access(acme.owner.id)).teams.keys() == {await acme.default_team()}


@pytest.mark.feature("TEN-02", "TEN-03")
async def test_who_leads_a_team_says_who_is_in_it(floor: Floor, acme: Company) -> None:
    team = await acme.default_team()
    ann, bob = await acme.hire("ann", "viewer"), await acme.hire("bob", "viewer")
    teams = floor.orgs.teams
    with current.acting_as(await acme.caller(ann)), pytest.raises(PermissionMissing, match="orgs:teams"):
        await teams.add_member(team, NewTeamMember(user_id=bob.id))
    with current.acting_as(await acme.caller()):
        await teams.add_member(team, NewTeamMember(user_id=ann.id, role="admin"))
        with pytest.raises(AlreadyAMember):
            await teams.add_member(team, NewTeamMember(user_id=ann.id))
    with current.acting_as(await acme.caller(ann)):
        added = await teams.add_member(team, NewTeamMember(user_id=bob.id))
        assert (added.role, added.email) == ("member", bob.email)
        assert (await teams.update_member(team, bob.id, TeamMemberChanges(role="viewer"))).role == "viewer"
        for escalation in (
            lambda: teams.update_member(team, bob.id, TeamMemberChanges(role="owner")),
            lambda: teams.update_member(team, acme.owner.id, TeamMemberChanges(role="viewer")),
            lambda: teams.remove_member(team, acme.owner.id),
        ):
            with pytest.raises(CannotConfer):
                await escalation()
        with pytest.raises(PermissionMissing, match="orgs:disband"):
            await teams.delete(team)
        await teams.update(team, TeamChanges(description="Ours"))
        found = await teams.members(team)
        assert [(m.user_id, m.role) for m in found.items] == [
            (bob.id, "viewer"),
            (ann.id, "admin"),
            (acme.owner.id, "owner"),
        ]
    with current.acting_as(await acme.caller(bob)):
        await teams.remove_member(team, bob.id)
        with pytest.raises(UnknownMember):
            await teams.remove_member(team, bob.id)
    stranger = floor.town.register("stranger")
    with current.acting_as(await acme.caller()), pytest.raises(UnknownMember):
        await teams.add_member(team, NewTeamMember(user_id=stranger.id))


async def test_who_leaves_the_organization_leaves_its_teams(floor: Floor, acme: Company) -> None:
    team = await acme.default_team()
    ann = await acme.hire("ann")
    with current.acting_as(await acme.caller()):
        await floor.orgs.teams.add_member(team, NewTeamMember(user_id=ann.id, role="admin"))
        await floor.orgs.members.delete(ann.id)
        assert [m.user_id for m in (await floor.orgs.teams.members(team)).items] == [acme.owner.id]
    assert (await floor.rbac.effective(ann.id, acme.id, team)).permissions == frozenset()


@pytest.mark.feature("TEN-05")
async def test_workspaces_stand_below_a_team_or_the_organization(floor: Floor, acme: Company) -> None:
    team = await acme.default_team()
    ann = await acme.hire("ann", "viewer")
    spaces = floor.orgs.workspaces
    with current.acting_as(await acme.caller()):
        await floor.orgs.teams.add_member(team, NewTeamMember(user_id=ann.id, role="admin"))
        above = await spaces.create(NewWorkspace(name="Above"))
        with pytest.raises(UnknownTeam):
            await spaces.create(NewWorkspace(name="Nowhere", team_id="tea_nowhere"))
        with pytest.raises(SlugTaken):
            await spaces.create(NewWorkspace(name="Above"))
    with current.acting_as(await acme.caller(ann)):
        below = await spaces.create(NewWorkspace(name="Below", team_id=team))
        assert (below.team_id, below.slug) == (team, "below")
        assert [w.id for w in (await spaces.list()).items] == [below.id, above.id]
        assert [w.id for w in (await spaces.list(team_id=team)).items] == [below.id]
        page = await spaces.list(limit=1)
        assert [w.id for w in (await spaces.list(cursor=page.next)).items] == [above.id]
        changed = await spaces.update(below.id, WorkspaceChanges(settings={"colour": "red"}))
        assert (changed.settings, changed.name) == ({"colour": "red"}, "Below")
        assert await spaces.get(below.id) == changed
        for ask in (
            lambda: spaces.create(NewWorkspace(name="Mine")),
            lambda: spaces.update(above.id, WorkspaceChanges(name="Mine")),
            lambda: spaces.delete(above.id),
        ):
            with pytest.raises(PermissionMissing, match="orgs:workspaces"):
                await ask()
        await spaces.delete(below.id)
        with pytest.raises(UnknownWorkspace):
            await spaces.get(below.id)
    assert [len(floor.heard(f"workspace.{what}")) for what in ("created", "updated", "deleted")] == [2, 1, 1]
