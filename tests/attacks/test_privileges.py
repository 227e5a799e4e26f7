"""What must fail: rising above oneself, losing the last owner, crossing to a neighbour, forging keys."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from bartizan.access.api_keys import (
    ApiKeyChanges,
    NewApiKey,
    Rotation,
)
from bartizan.access.orgs import (
    Closing,
    Heir,
    MemberChanges,
    NewInvitation,
    NewOrganization,
    NewTeam,
    NewTeamMember,
    NewWorkspace,
    OrganizationChanges,
    TeamChanges,
    TeamMemberChanges,
    WorkspaceChanges,
)
from bartizan.access.rbac import (
    CannotConfer,
    LastOwner,
    NewGrant,
    NewRole,
    RoleChanges,
    RoleChoice,
)
from bartizan.foundation.context import Caller, PermissionMissing, current
from bartizan.foundation.errors import Forbidden, NotFound, Refusal
from tests.harness.access import Company, Floor, Somebody, build


class Undo(Exception):
    """What was tried shall not have happened."""


Ask = Callable[[], Awaitable[Any]]


@pytest.fixture
def floor(database: Any, clock: Any) -> Floor:
    return build(database, clock)


@pytest.fixture
async def acme(floor: Floor) -> Company:
    return await floor.organization()


async def refused(asks: list[Ask], *errors: type[Exception]) -> None:
    for number, ask in enumerate(asks):
        try:
            answer = await ask()
        except errors:
            continue
        pytest.fail(f"ask number {number} was answered with {answer!r}")


@pytest.mark.feature("AZ-01", "AZ-04", "AZ-05")
async def test_an_admin_cannot_rise_above_an_admin(floor: Floor, acme: Company) -> None:
    ann, bob = await acme.hire("ann", "admin"), await acme.hire("bob", "viewer")
    rbac, orgs = floor.rbac, floor.orgs
    with current.acting_as(await acme.caller(ann)):
        await rbac.roles.create(NewRole(name="mine", permissions=["app:read"]))
        await refused(
            [
                lambda: rbac.assign(ann.id, RoleChoice(roles=["owner"])),
                lambda: rbac.assign(ann.id, RoleChoice(roles=["admin", "superuser"])),
                lambda: rbac.assign(bob.id, RoleChoice(roles=["owner"])),
                lambda: rbac.assign(acme.owner.id, RoleChoice(roles=["viewer"])),
                lambda: rbac.grants.create(ann.id, NewGrant(permission="orgs:delete")),
                lambda: rbac.grants.create(bob.id, NewGrant(permission="orgs.delete")),
                lambda: rbac.grants.create(acme.owner.id, NewGrant(permission="app:read", allowed=False)),
                lambda: rbac.roles.create(NewRole(name="king", permissions=["orgs:delete"])),
                lambda: rbac.roles.update("mine", RoleChanges(permissions=["orgs:delete"])),
                lambda: orgs.members.update(ann.id, MemberChanges(role="owner")),
                lambda: orgs.members.update(acme.owner.id, MemberChanges(role="viewer")),
                lambda: orgs.members.update(acme.owner.id, MemberChanges(status="suspended")),
                lambda: orgs.members.delete(acme.owner.id),
                lambda: orgs.invitations.create(NewInvitation(email="a@acme.example", role="owner")),
                lambda: orgs.transfer(acme.id, Heir(user_id=ann.id)),
                lambda: orgs.delete(acme.id, Closing(confirm=acme.slug)),
            ],
            CannotConfer,
            PermissionMissing,
        )
    assert (await rbac.effective(ann.id, acme.id)).roles == {"admin"}
    assert (await rbac.effective(acme.owner.id, acme.id)).roles == {"owner"}


async def test_all_permissions_do_not_make_an_owner(floor: Floor, acme: Company) -> None:
    ann = await acme.hire("ann", "admin")
    with current.acting_as(await acme.caller()):
        await floor.rbac.grants.create(ann.id, NewGrant(permission="orgs:delete"))
    caller = await acme.caller(ann)
    assert caller.permissions == floor.rbac.names()
    with current.acting_as(caller):
        for ask in (
            floor.rbac.assign(ann.id, RoleChoice(roles=["owner"])),
            floor.orgs.transfer(acme.id, Heir(user_id=ann.id)),
            floor.orgs.members.delete(acme.owner.id),
        ):
            with pytest.raises(CannotConfer):
                await ask


async def test_a_suspended_owner_cannot_be_removed_by_an_admin(floor: Floor, acme: Company) -> None:
    second, ann = await acme.hire("second", "owner"), await acme.hire("ann", "admin")
    with current.acting_as(await acme.caller()):
        await floor.orgs.members.update(second.id, MemberChanges(status="suspended"))
    with current.acting_as(await acme.caller(ann)):
        for ask in (
            floor.orgs.members.delete(second.id),
            floor.orgs.members.update(second.id, MemberChanges(role="viewer")),
            floor.orgs.members.update(second.id, MemberChanges(status="active")),
        ):
            with pytest.raises(CannotConfer):
                await ask


async def test_somebody_with_a_narrow_right_to_write_roles_gains_nothing(floor: Floor, acme: Company) -> None:
    eve, bob = await acme.hire("eve", "viewer"), await acme.hire("bob", "admin")
    with current.acting_as(await acme.caller()):
        await floor.rbac.roles.create(NewRole(name="big", permissions=["app:write", "orgs:members"]))
        denial = await floor.rbac.grants.create(eve.id, NewGrant(permission="app:read", allowed=False))
        await floor.rbac.grants.create(eve.id, NewGrant(permission="rbac:write"))
    with current.acting_as(await acme.caller(eve)):
        await refused(
            [
                lambda: floor.rbac.assign(eve.id, RoleChoice(roles=["big"])),
                lambda: floor.rbac.assign(eve.id, RoleChoice(roles=["member"])),
                lambda: floor.rbac.grants.delete(denial.id),
                lambda: floor.rbac.grants.create(eve.id, NewGrant(permission="app:read")),
                lambda: floor.rbac.assign(bob.id, RoleChoice(roles=["viewer"])),
                lambda: floor.rbac.grants.create(bob.id, NewGrant(permission="orgs:read", allowed=False)),
                lambda: floor.rbac.roles.update("big", RoleChanges(permissions=[])),
                lambda: floor.rbac.roles.delete("big"),
            ],
            CannotConfer,
        )


@pytest.mark.feature("TEN-03")
@pytest.mark.parametrize("way", ["leave", "demote", "suspend", "mixed"])
async def test_two_owners_who_go_at_once_leave_one(floor: Floor, acme: Company, way: str) -> None:
    owners = [acme.owner, await acme.hire("second", "owner")]
    callers = {person.id: await acme.caller(person) for person in owners}

    async def go(person: Somebody, how: str) -> None:
        with current.acting_as(callers[person.id]):
            if how == "leave":
                await floor.orgs.members.leave()
            elif how == "demote":
                await floor.rbac.assign(person.id, RoleChoice(roles=["viewer"]))
            else:
                await floor.orgs.members.update(person.id, MemberChanges(status="suspended"))

    hows = ("leave", "suspend") if way == "mixed" else (way, way)
    done = await asyncio.gather(
        *(go(p, how) for p, how in zip(owners, hows, strict=True)), return_exceptions=True
    )
    assert [type(one) for one in done if one is not None] == [LastOwner]
    left = [p for p in owners if "owner" in (await floor.rbac.effective(p.id, acme.id)).roles]
    assert len(left) == 1


@dataclass
class Neighbours:
    floor: Floor
    acme: Company
    globex: Company
    asks: list[Ask]


@pytest.fixture
async def neighbours(floor: Floor, acme: Company) -> Neighbours:
    """Every by-id method of these rooms, with ids of Acme."""
    globex = await floor.organization("Globex")
    ann = await acme.hire("ann")
    orgs, rbac, keys = floor.orgs, floor.rbac, floor.api_keys
    with current.acting_as(await acme.caller()):
        team = (await orgs.teams.create(NewTeam(name="Builders"))).id
        await orgs.teams.add_member(team, NewTeamMember(user_id=ann.id))
        place = (await orgs.workspaces.create(NewWorkspace(name="Cellar"))).id
        sent = (await orgs.invitations.create(NewInvitation(email="x@acme.example"))).id
        await rbac.roles.create(NewRole(name="odd", permissions=["app:read"]))
        grant = (await rbac.grants.create(ann.id, NewGrant(permission="app:read"))).id
        key = (await keys.issue(NewApiKey(name="ci", scopes=["app:read"]))).id
    asks: list[Ask] = [
        lambda: orgs.get(acme.id),
        lambda: orgs.update(acme.id, OrganizationChanges(name="Mine")),
        lambda: orgs.transfer(acme.id, Heir(user_id=globex.owner.id)),
        lambda: orgs.delete(acme.id, Closing(confirm=acme.slug)),
        lambda: orgs.members.get(ann.id),
        lambda: orgs.members.update(ann.id, MemberChanges(role="viewer")),
        lambda: orgs.members.delete(ann.id),
        lambda: orgs.teams.get(team),
        lambda: orgs.teams.update(team, TeamChanges(name="Mine")),
        lambda: orgs.teams.delete(team),
        lambda: orgs.teams.members(team),
        lambda: orgs.teams.add_member(team, NewTeamMember(user_id=globex.owner.id)),
        lambda: orgs.teams.update_member(team, ann.id, TeamMemberChanges(role="viewer")),
        lambda: orgs.teams.remove_member(team, ann.id),
        lambda: orgs.workspaces.create(NewWorkspace(name="Mine", team_id=team)),
        lambda: orgs.workspaces.get(place),
        lambda: orgs.workspaces.update(place, WorkspaceChanges(name="Mine")),
        lambda: orgs.workspaces.delete(place),
        lambda: orgs.invitations.get(sent),
        lambda: orgs.invitations.resend(sent),
        lambda: orgs.invitations.delete(sent),
        lambda: orgs.invitations.create(NewInvitation(email="y@globex.example", team_id=team)),
        lambda: rbac.roles.get("odd"),
        lambda: rbac.roles.update("odd", RoleChanges(description="Mine")),
        lambda: rbac.roles.delete("odd"),
        lambda: rbac.access(ann.id),
        lambda: rbac.assign(ann.id, RoleChoice(roles=["viewer"])),
        lambda: rbac.explain(ann.id, "app:read"),
        lambda: rbac.grants.create(ann.id, NewGrant(permission="app:read")),
        lambda: rbac.grants.delete(grant),
        lambda: keys.get(key),
        lambda: keys.update(key, ApiKeyChanges(name="Mine")),
        lambda: keys.rotate(key, Rotation()),
        lambda: keys.revoke(key),
        lambda: keys.issue(NewApiKey(name="x", scopes=["app:read"], owner="team", team_id=team)),
    ]
    return Neighbours(floor, acme, globex, asks)


@pytest.mark.feature("TEN-08")
async def test_to_a_neighbour_nothing_of_ours_exists(neighbours: Neighbours) -> None:
    floor = neighbours.floor
    with current.acting_as(await neighbours.globex.caller()):
        await refused(neighbours.asks, NotFound)
        assert (await floor.orgs.workspaces.list()).items == []
        assert (await floor.orgs.invitations.list()).items == []
        assert (await floor.api_keys.list()).items == []
        alone = [neighbours.globex.owner.id]
        assert [able.user_id for able in (await floor.rbac.who_can("app:read")).items] == alone
        assert [m.user_id for m in (await floor.orgs.members.list()).items] == alone
        assert [t.name for t in (await floor.orgs.teams.list()).items] == ["General"]
        assert not [role for role in await floor.rbac.roles.list() if not role.built_in]


@pytest.mark.feature("TEN-06")
async def test_without_an_organization_there_is_nothing_to_do(neighbours: Neighbours) -> None:
    owner = neighbours.acme.owner
    full = frozenset(neighbours.floor.rbac.names())
    with current.acting_as(Caller(id=owner.id, kind="user", user_id=owner.id, permissions=full)):
        await refused(neighbours.asks, Forbidden, NotFound)


@pytest.mark.feature("TEN-08")
async def test_the_same_asks_find_everything_at_home(neighbours: Neighbours) -> None:
    """Else the refusals above would prove nothing: here each is answered, or refused for what it wants."""
    foreign = neighbours.globex.owner.id
    for ask in neighbours.asks:
        with current.acting_as(await neighbours.acme.caller()):
            refusal = await undone(neighbours.floor, ask)
        assert not isinstance(refusal, NotFound) or refusal.facts.get("user_id") == foreign


async def ask_and_undo(ask: Ask) -> None:
    await ask()
    raise Undo


async def undone(floor: Floor, ask: Ask) -> Refusal | None:
    """Ask, undo what it did, and give the refusal if there was one."""
    try:
        async with floor.database.transaction():
            await ask_and_undo(ask)
    except Undo:
        pass
    except Refusal as refusal:
        return refusal
    return None


MODELS: list[tuple[type[BaseModel], dict[str, Any]]] = [
    (NewOrganization, {"name": "x"}),
    (OrganizationChanges, {}),
    (MemberChanges, {}),
    (NewTeam, {"name": "x"}),
    (TeamChanges, {}),
    (NewTeamMember, {"user_id": "usr_x"}),
    (NewWorkspace, {"name": "x"}),
    (WorkspaceChanges, {}),
    (NewInvitation, {"email": "a@b.example"}),
    (NewRole, {"name": "odd"}),
    (RoleChanges, {}),
    (NewGrant, {"permission": "app:read"}),
    (NewApiKey, {"name": "x", "scopes": ["app:read"]}),
    (ApiKeyChanges, {}),
]
FOREIGN = [
    "id",
    "org_id",
    "tenant_id",
    "plan",
    "limits",
    "owner_id",
    "created_by",
    "operator",
    "built_in",
    "digest",
]


@pytest.mark.feature("TEN-07")
@pytest.mark.parametrize(("model", "body"), MODELS, ids=lambda value: getattr(value, "__name__", ""))
def test_no_body_sets_what_is_not_its_to_set(model: type[BaseModel], body: dict[str, Any]) -> None:
    model.model_validate(body)
    for field in FOREIGN:
        with pytest.raises(ValidationError):
            model.model_validate({**body, field: "org_other"})
