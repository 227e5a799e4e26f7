from collections.abc import Awaitable, Callable

import pytest

from bartizan.access.rbac import (
    BuiltInRole,
    CannotConfer,
    LastOwner,
    NewGrant,
    NewRole,
    OwnersHoldEverything,
    PermissionNameUnclear,
    Rbac,
    RbacSettings,
    RoleChanges,
    RoleChoice,
    RoleInUse,
    RoleNameTaken,
    TooManyGrants,
    TooManyRoles,
    UnknownGrant,
    UnknownPermission,
    UnknownRole,
    UnknownSubject,
)
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Permission, PermissionMissing, current
from bartizan.foundation.database import Database
from tests.harness.access import Floor, build

Ask = Callable[[], Awaitable[object]]
ORGANIZATION = ["owner", "admin", "developer", "operator", "member", "viewer", "support", "auditor"]


@pytest.mark.feature("AZ-01")
async def test_the_built_in_roles_grow_from_viewer_to_owner(floor: Floor) -> None:
    elsewhere = ("jobs:write", "audit:export", "webhooks:write", "identity:read")
    floor.rbac.declare(*(Permission(name, "of another room") for name in elsewhere))
    acme = await floor.organization()
    held = {}
    for role in ORGANIZATION[1:]:
        person = await acme.hire(role, role)
        held[role] = (await floor.rbac.effective(person.id, acme.id)).permissions
    owner = (await floor.rbac.effective(acme.owner.id, acme.id)).permissions
    assert held["viewer"] < held["member"] < held["developer"] < held["admin"] < owner == floor.rbac.names()
    assert held["member"] < held["operator"]
    assert {"webhooks:write", "jobs:write"} - held["developer"] == {"jobs:write"}
    assert "audit:export" in held["auditor"] - held["support"]
    assert owner - held["admin"] == {"orgs:delete"}
    assert "app:write" not in held["viewer"] | held["support"] | held["auditor"]


@pytest.mark.feature("AZ-01")
async def test_roles_of_other_systems_have_our_names(floor: Floor) -> None:
    acme = await floor.organization()
    names = {"user": "member", "superuser": "owner", "Administrator": "admin", "read-only": "viewer"}
    for theirs, ours in names.items():
        person = await acme.hire("ann", theirs)
        assert (await floor.rbac.effective(person.id, acme.id)).roles == {ours}
        assert floor.rbac.role_name(theirs) == ours


@pytest.mark.feature("AZ-02")
def test_a_permission_may_be_spelled_with_a_dot_or_in_the_plural(rbac: Rbac) -> None:
    rbac.declare(Permission("invoice:read", "See invoices"), Permission("security.session:list", "See them"))
    for spelling in ("invoice:read", "invoice.read", "invoices:read", "Invoices.read", " invoices.READ "):
        assert rbac.parse(spelling) == "invoice:read"
    assert rbac.parse("security.sessions.list") == "security.session:list"
    assert rbac.parse("api-keys.read") == "api_keys:read"
    for wrong in ("invoice", "invoice:pay", "", ":", "x" * 101):
        with pytest.raises(UnknownPermission):
            rbac.parse(wrong)


@pytest.mark.feature("AZ-02")
def test_two_permissions_that_read_alike_are_refused(rbac: Rbac) -> None:
    rbac.declare(Permission("policy:read", "See a policy"))
    rbac.declare(Permission("policy:read", "said twice"))
    for name in ("policies:read", "Policy:read", "policy read", "box:Open", "9lives:count"):
        with pytest.raises(PermissionNameUnclear):
            rbac.declare(Permission(name, "unclear"))


@pytest.mark.parametrize(
    ("plural", "form"),
    [("boxes", "box"), ("classes", "class"), ("status", "status"), ("analysis", "analysis"), ("ties", "tie")],
)
def test_plurals_are_understood(rbac: Rbac, plural: str, form: str) -> None:
    rbac.declare(Permission(f"{form}:read", "See it"))
    assert rbac.parse(f"{plural}.read") == f"{form}:read"


async def test_a_hosts_permission_belongs_to_owners_and_admins_and_to_the_roles_named(floor: Floor) -> None:
    acme = await floor.organization()
    people = {role: await acme.hire(role, role) for role in ("admin", "developer", "member", "viewer")}
    floor.rbac.declare(Permission("invoice:read", "See invoices"), roles=["member", "Superuser"])
    holders = {
        role
        for role, person in people.items()
        if "invoice:read" in (await floor.rbac.effective(person.id, acme.id)).permissions
    }
    assert holders == {"admin", "member"}


@pytest.mark.feature("AZ-05")
async def test_an_organization_makes_changes_and_deletes_a_role_at_run_time(floor: Floor) -> None:
    acme = await floor.organization()
    ann = await acme.hire("ann")
    with current.acting_as(await acme.caller()):
        made = await floor.rbac.roles.create(
            NewRole(
                name="release-manager",
                description="Ships",
                permissions=["app.read"],
            )
        )
        assert (made.permissions, made.built_in) == (["app:read"], False)
        with pytest.raises(RoleNameTaken):
            await floor.rbac.roles.create(NewRole(name="release-manager"))
        with pytest.raises(RoleNameTaken):
            await floor.rbac.roles.create(NewRole(name="superuser"))
        await floor.rbac.assign(ann.id, RoleChoice(roles=["release-manager"]))
        assert (await floor.rbac.effective(ann.id, acme.id)).permissions == {"app:read"}
        changed = await floor.rbac.roles.update("release-manager", RoleChanges(permissions=["app:write"]))
        assert (changed.description, changed.permissions) == ("Ships", ["app:write"])
        assert (await floor.rbac.effective(ann.id, acme.id)).permissions == {"app:write"}
        await floor.rbac.roles.update("release-manager", RoleChanges(description="Sails"))
        assert (await floor.rbac.roles.get("release-manager")).description == "Sails"
        with pytest.raises(RoleInUse):
            await floor.rbac.roles.delete("release-manager")
        await floor.rbac.assign(ann.id, RoleChoice(roles=["member"]))
        await floor.rbac.roles.delete("release-manager")
        with pytest.raises(UnknownRole):
            await floor.rbac.roles.get("release-manager")
        with pytest.raises(UnknownRole):
            await floor.rbac.assign(ann.id, RoleChoice(roles=["release-manager"]))
        names = [role.name for role in await floor.rbac.roles.list()]
    assert names == [*ORGANIZATION, "owner", "admin", "member", "viewer"]
    assert floor.heard("role.updated")[0].data["removed"] == ["app:read"]


@pytest.mark.feature("AZ-05")
async def test_another_replica_learns_of_a_changed_role_within_five_seconds(floor: Floor) -> None:
    acme = await floor.organization()
    ann = await acme.hire("ann", "viewer")
    other = Rbac(floor.database, floor.events, clock=floor.clock)
    before = (await other.effective(ann.id, acme.id)).roles
    with current.acting_as(await acme.caller()):
        await floor.rbac.assign(ann.id, RoleChoice(roles=["admin"]))
    assert (await floor.rbac.effective(ann.id, acme.id)).roles == {"admin"}
    assert before == (await other.effective(ann.id, acme.id)).roles == {"viewer"}
    floor.clock.advance(5)
    assert (await other.effective(ann.id, acme.id)).roles == {"admin"}


async def test_what_is_rolled_back_is_never_remembered(floor: Floor) -> None:
    acme = await floor.organization()
    ann = await acme.hire("ann", "viewer")

    async def promote_and_fail() -> None:
        async with floor.database.transaction():
            await floor.rbac.place(ann.id, ["admin"], org_id=acme.id)
            assert (await floor.rbac.effective(ann.id, acme.id)).roles == {"admin"}
            raise RuntimeError("undo")

    with pytest.raises(RuntimeError, match="undo"):
        await promote_and_fail()
    assert (await floor.rbac.effective(ann.id, acme.id)).roles == {"viewer"}


async def test_built_in_roles_cannot_be_changed(floor: Floor) -> None:
    acme = await floor.organization()
    with current.acting_as(await acme.caller()):
        assert (await floor.rbac.roles.get("superuser")).name == "owner"
        with pytest.raises(BuiltInRole):
            await floor.rbac.roles.update("viewer", RoleChanges(permissions=["app:write"]))
        with pytest.raises(BuiltInRole):
            await floor.rbac.roles.delete("user")
        with pytest.raises(UnknownPermission):
            await floor.rbac.roles.create(NewRole(name="odd", permissions=["no:such"]))


@pytest.mark.feature("AZ-04")
async def test_a_grant_adds_to_the_role_and_a_denial_wins_over_it(floor: Floor) -> None:
    acme = await floor.organization()
    ann = await acme.hire("ann", "viewer")
    with current.acting_as(await acme.caller()):
        grant = await floor.rbac.grants.create(ann.id, NewGrant(permission="app.write", reason="on call"))
        assert (grant.permission, grant.granted_by) == ("app:write", acme.owner.id)
        assert "app:write" in (await floor.rbac.effective(ann.id, acme.id)).permissions
        denial = await floor.rbac.grants.create(ann.id, NewGrant(permission="app:write", allowed=False))
        assert [g.id for g in await floor.rbac.grants.list(ann.id)] == [denial.id]
        assert "app:write" not in (await floor.rbac.effective(ann.id, acme.id)).permissions
        await floor.rbac.assign(ann.id, RoleChoice(roles=["admin", "developer"]))
        assert "app:write" not in (await floor.rbac.effective(ann.id, acme.id)).permissions
        await floor.rbac.grants.delete(denial.id)
        assert "app:write" in (await floor.rbac.effective(ann.id, acme.id)).permissions
        with pytest.raises(UnknownGrant):
            await floor.rbac.grants.delete(denial.id)
        access = await floor.rbac.access(ann.id)
    assert (sorted(access.roles), access.grants) == (["admin", "developer"], [])
    assert [len(floor.heard(f"permission.{what}")) for what in ("granted", "denied", "reset")] == [1, 1, 1]


@pytest.mark.feature("AZ-04")
async def test_nothing_can_be_withheld_from_an_owner(floor: Floor) -> None:
    acme = await floor.organization()
    ann = await acme.hire("ann", "admin")
    with current.acting_as(await acme.caller()):
        with pytest.raises(OwnersHoldEverything):
            await floor.rbac.grants.create(acme.owner.id, NewGrant(permission="app:read", allowed=False))
        await floor.rbac.grants.create(ann.id, NewGrant(permission="app:read", allowed=False))
        await floor.rbac.assign(ann.id, RoleChoice(roles=["owner"]))
    assert (await floor.rbac.effective(ann.id, acme.id)).permissions == floor.rbac.names()


async def test_who_is_no_member_gets_no_role_and_no_grant(floor: Floor) -> None:
    acme = await floor.organization()
    stranger = floor.town.register("stranger")
    with current.acting_as(await acme.caller()):
        with pytest.raises(UnknownSubject):
            await floor.rbac.assign(stranger.id, RoleChoice(roles=["viewer"]))
        with pytest.raises(UnknownSubject):
            await floor.rbac.grants.create(stranger.id, NewGrant(permission="app:read"))
        for ask in (floor.rbac.access(stranger.id), floor.rbac.explain(stranger.id, "app:read")):
            with pytest.raises(UnknownSubject):
                await ask


async def test_roles_and_grants_are_counted(database: Database, clock: ManualClock) -> None:
    floor = build(database, clock)
    narrow = Rbac(database, floor.events, clock=clock, settings=RbacSettings(max_roles=1, max_grants=1))
    acme = await floor.organization()
    ann = await acme.hire("ann")
    with current.acting_as(await acme.caller()):
        await narrow.roles.create(NewRole(name="one"))
        with pytest.raises(TooManyRoles):
            await narrow.roles.create(NewRole(name="two"))
        await narrow.grants.create(ann.id, NewGrant(permission="app:read"))
        with pytest.raises(TooManyGrants):
            await narrow.grants.create(ann.id, NewGrant(permission="app:write"))


@pytest.mark.feature("TEN-03")
async def test_the_last_owner_cannot_be_demoted(floor: Floor) -> None:
    acme = await floor.organization()
    with current.acting_as(await acme.caller()):
        with pytest.raises(LastOwner):
            await floor.rbac.assign(acme.owner.id, RoleChoice(roles=["admin"]))
        ann = await acme.hire("ann", "owner")
        await floor.rbac.assign(acme.owner.id, RoleChoice(roles=["admin"]))
    assert (await floor.rbac.effective(acme.owner.id, acme.id)).roles == {"admin"}
    assert (await floor.rbac.effective(ann.id, acme.id)).roles == {"owner"}


async def test_a_role_in_a_team_counts_inside_that_team_only(floor: Floor) -> None:
    acme = await floor.organization()
    team = await acme.default_team()
    ann = await acme.hire("ann", "viewer")
    with current.as_system(acme.id):
        await floor.orgs.teams.join(team, ann.id, "admin", org_id=acme.id)
        access = await floor.rbac.access(ann.id)
    assert access.teams == {team: ["admin"]}
    outside = await floor.rbac.effective(ann.id, acme.id)
    inside = await floor.rbac.effective(ann.id, acme.id, team)
    assert inside.permissions - outside.permissions == {"app:write", "orgs:team"}
    with current.as_system(acme.id), pytest.raises(UnknownRole):
        await floor.rbac.place(ann.id, ["developer"], org_id=acme.id, team_id=team)


@pytest.mark.parametrize("permission", ["rbac:read", "rbac:write"])
async def test_roles_are_seen_and_changed_with_permission_only(floor: Floor, permission: str) -> None:
    acme = await floor.organization()
    ann = await acme.hire("ann")
    service = floor.rbac
    asks: dict[str, list[Ask]] = {
        "rbac:read": [
            service.roles.list,
            service.roles.permissions,
            lambda: service.roles.get("owner"),
            lambda: service.access(acme.owner.id),
            lambda: service.grants.list(ann.id),
            lambda: service.who_can("app:read"),
        ],
        "rbac:write": [
            lambda: service.roles.create(NewRole(name="mine")),
            lambda: service.roles.update("mine", RoleChanges()),
            lambda: service.roles.delete("mine"),
            lambda: service.assign(ann.id, RoleChoice(roles=["viewer"])),
            lambda: service.grants.create(ann.id, NewGrant(permission="app:read")),
            lambda: service.grants.delete("grt_x"),
        ],
    }
    with current.acting_as(await acme.caller(ann)):
        for ask in asks[permission]:
            with pytest.raises(PermissionMissing, match=permission):
                await ask()
        assert (await service.access(ann.id)).roles == ["member"]


async def test_a_role_is_handed_on_only_by_who_holds_it(floor: Floor) -> None:
    acme = await floor.organization()
    ann = await acme.hire("ann", "admin")
    with current.acting_as(await acme.caller(ann)):
        assert await floor.rbac.require_conferrable("user") == "member"
        with pytest.raises(CannotConfer):
            await floor.rbac.require_conferrable("superuser")


@pytest.fixture
def rbac(floor: Floor) -> Rbac:
    return floor.rbac
