from collections.abc import Sequence
from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from starlette.types import Receive, Scope, Send

from bartizan.access.api_keys import (
    ApiKeyChanges,
    ApiKeyNotActive,
    ApiKeys,
    ApiKeysSettings,
    ExpiryNotAllowed,
    InvalidApiKey,
    IssuedApiKey,
    NewApiKey,
    OnlyPeopleMakeKeys,
    Rotation,
    ScopeTooWide,
    TooManyApiKeys,
    UnknownApiKey,
)
from bartizan.access.api_keys.capability import capability
from bartizan.access.orgs import Closing, NewTeamMember, UnknownTeam
from bartizan.foundation.context import PermissionMissing, current
from bartizan.foundation.crypto import Keyring
from bartizan.foundation.errors import Invalid
from tests.harness.access import SECRET_KEYS, Company, Floor, Somebody


@pytest.fixture
async def acme(floor: Floor) -> Company:
    return await floor.organization()


def keys(floor: Floor, secret_keys: Sequence[str] = SECRET_KEYS, **changes: object) -> ApiKeys:
    """Another replica, or one that is set up otherwise."""
    settings = ApiKeysSettings.model_validate(changes)
    return ApiKeys(
        floor.database,
        floor.events,
        rbac=floor.rbac,
        orgs=floor.orgs,
        keyring=Keyring(secret_keys),
        clock=floor.clock,
        settings=settings,
    )


async def issue(acme: Company, person: Somebody | None = None, **fields: object) -> IssuedApiKey:
    new = NewApiKey.model_validate({"name": "ci", "scopes": ["app:read"], **fields})
    with current.acting_as(await acme.caller(person)):
        return await acme.floor.api_keys.issue(new)


@pytest.mark.feature("KEY-01")
async def test_a_key_is_shown_once_and_kept_as_a_digest(floor: Floor, acme: Company) -> None:
    issued = await issue(acme, scopes=["apps.write", "app:read"])
    secret = issued.secret
    assert (secret[:9], len(secret)) == ("btz_live_", 45)
    assert issued.hint == secret[:17]
    assert issued.scopes == ["app:read", "app:write"]
    with current.acting_as(await acme.caller()):
        shown = await floor.api_keys.get(issued.id)
        listed = (await floor.api_keys.list()).items
    assert listed == [shown]
    told = "".join(str(envelope.as_cloudevent()) for envelope in floor.told)
    for text in (shown.model_dump_json(), told):
        assert secret[17:] not in text
    assert (await issue(acme, mode="test")).secret.startswith("btz_test_")


@pytest.mark.feature("KEY-01", "KEY-02")
async def test_a_key_lets_its_bearer_in_with_its_scopes(floor: Floor, acme: Company) -> None:
    issued = await issue(acme, rate_limit=30)
    principal = await floor.api_keys.authenticate(issued.secret)
    caller = principal.caller()
    assert (caller.id, caller.kind, caller.org_id, caller.user_id) == (
        issued.id,
        "key",
        acme.id,
        acme.owner.id,
    )
    assert (set(caller.permissions), set(caller.roles), principal.rate_limit) == ({"app:read"}, set(), 30)
    with current.acting_as(caller):
        current.require("app:read")
        with pytest.raises(PermissionMissing, match="api_keys:read"):
            await floor.api_keys.list()


@pytest.mark.feature("KEY-02")
async def test_a_key_can_do_no_more_than_who_makes_it(floor: Floor, acme: Company) -> None:
    ann = await acme.hire("ann", "member")
    for scopes in (["orgs:members"], ["app:read", "orgs:delete"]):
        with pytest.raises(ScopeTooWide):
            await issue(acme, ann, scopes=scopes)
    key = await issue(acme, ann)
    with current.acting_as(await acme.caller(ann)):
        with pytest.raises(ScopeTooWide):
            await floor.api_keys.update(key.id, ApiKeyChanges(scopes=["orgs:members"]))
        changed = await floor.api_keys.update(key.id, ApiKeyChanges(scopes=["app:write"], name="cd"))
    assert (changed.scopes, changed.name, changed.rate_limit) == (["app:write"], "cd", None)
    assert (await floor.api_keys.authenticate(key.secret)).permissions == {"app:write"}


@pytest.mark.feature("KEY-02")
async def test_a_key_without_scopes_may_what_its_maker_and_its_owner_may(acme: Company) -> None:
    ann = await acme.hire("ann", "admin")
    team = await acme.default_team()
    held = (await acme.caller(ann)).permissions
    assert set((await issue(acme, ann, scopes=None)).scopes) == held
    of_team = await issue(acme, ann, scopes=None, owner="team", team_id=team)
    assert set(of_team.scopes) == {"app:read", "app:write", "orgs:read", "orgs:team", "orgs:disband"}


@pytest.mark.feature("KEY-01")
async def test_keys_outlive_the_rotation_of_the_servers_secret_key(floor: Floor, acme: Company) -> None:
    key = await issue(acme)
    rotated = keys(floor, ["a newer secret key of the server", *SECRET_KEYS])
    assert (await rotated.authenticate(key.secret)).key_id == key.id
    without_the_old_one = keys(floor, ["a newer secret key of the server"])
    assert (await without_the_old_one.authenticate(key.secret)).key_id == key.id


@pytest.mark.feature("KEY-02", "X-05")
async def test_the_keys_of_a_demoted_person_shrink_at_once(floor: Floor, acme: Company) -> None:
    ann = await acme.hire("ann", "admin")
    key = await issue(acme, ann, scopes=["app:read", "app:write", "orgs:members"])
    assert len((await floor.api_keys.authenticate(key.secret)).permissions) == 3
    await floor.rbac.place(ann.id, ["viewer"], org_id=acme.id)
    assert (await floor.api_keys.authenticate(key.secret)).permissions == {"app:read"}
    await floor.rbac.place(ann.id, ["admin"], org_id=acme.id)
    assert len((await floor.api_keys.authenticate(key.secret)).permissions) == 3


@pytest.mark.feature("KEY-03")
async def test_a_revoked_key_is_refused_at_once_and_elsewhere_within_five_seconds(
    floor: Floor, acme: Company
) -> None:
    key = await issue(acme)
    other = keys(floor)
    for replica in (floor.api_keys, other):
        await replica.authenticate(key.secret)
    with current.acting_as(await acme.caller()):
        await floor.api_keys.revoke(key.id)
        for ask in (
            floor.api_keys.revoke(key.id),
            floor.api_keys.rotate(key.id, Rotation()),
            floor.api_keys.update(key.id, ApiKeyChanges(name="x")),
        ):
            with pytest.raises(ApiKeyNotActive):
                await ask
        with pytest.raises(UnknownApiKey):
            await floor.api_keys.revoke("key_none")
    with pytest.raises(InvalidApiKey):
        await floor.api_keys.authenticate(key.secret)
    await other.authenticate(key.secret)
    floor.clock.advance(5)
    with pytest.raises(InvalidApiKey):
        await other.authenticate(key.secret)


@pytest.mark.feature("KEY-03")
async def test_a_key_ends_when_it_was_meant_to(floor: Floor, acme: Company) -> None:
    key = await issue(acme, expires_at=floor.clock.now() + timedelta(hours=1))
    floor.clock.advance(3599)
    await floor.api_keys.authenticate(key.secret)
    floor.clock.advance(1)
    with pytest.raises(InvalidApiKey):
        await floor.api_keys.authenticate(key.secret)
    with pytest.raises(ExpiryNotAllowed):
        await issue(acme, expires_at=floor.clock.now())
    short = keys(floor, max_days=1)
    with current.acting_as(await acme.caller()):
        for expires_at in (None, floor.clock.now() + timedelta(days=2)):
            with pytest.raises(ExpiryNotAllowed):
                await short.issue(NewApiKey(name="x", scopes=["app:read"], expires_at=expires_at))
        with pytest.raises(ApiKeyNotActive):
            await floor.api_keys.rotate(key.id, Rotation())
        allowed = floor.clock.now() + timedelta(days=1)
        made = await short.issue(NewApiKey(name="x", scopes=["app:read"], expires_at=allowed))
    assert made.expires_at == allowed


@pytest.mark.feature("KEY-03")
async def test_a_rotated_key_goes_on_for_the_overlap(floor: Floor, acme: Company) -> None:
    old = await issue(acme, scopes=["app:read", "app:write"], rate_limit=9)
    with current.acting_as(await acme.caller()):
        with pytest.raises(ExpiryNotAllowed):
            await floor.api_keys.rotate(old.id, Rotation(overlap_hours=24 * 7 + 1))
        new = await floor.api_keys.rotate(old.id, Rotation(overlap_hours=1))
        shown = await floor.api_keys.get(old.id)
    assert (new.scopes, new.rate_limit, new.name) == (old.scopes, old.rate_limit, old.name)
    assert (shown.replaced_by, shown.expires_at) == (new.id, floor.clock.now() + timedelta(hours=1))
    for key in (old, new):
        assert (await floor.api_keys.authenticate(key.secret)).key_id == key.id
    floor.clock.advance(3600)
    with pytest.raises(InvalidApiKey):
        await floor.api_keys.authenticate(old.secret)
    assert (await floor.api_keys.authenticate(new.secret)).key_id == new.id


@pytest.mark.feature("KEY-03")
async def test_usage_is_counted_in_batches(floor: Floor, acme: Company) -> None:
    key = await issue(acme)
    writer = keys(floor)
    for _ in range(3):
        await writer.authenticate(key.secret)
    with current.acting_as(await acme.caller()):
        assert (await floor.api_keys.get(key.id)).uses == 0
        floor.clock.advance(30)
        await writer.authenticate(key.secret)
        used = await floor.api_keys.get(key.id)
        assert (used.uses, used.last_used_at) == (4, floor.clock.now())
        await floor.api_keys.authenticate(key.secret)
        assert (await floor.api_keys.get(key.id)).uses == 5


@pytest.mark.feature("KEY-05")
async def test_a_key_of_the_organization_stays_when_its_maker_leaves(floor: Floor, acme: Company) -> None:
    ann = await acme.hire("ann", "admin")
    mine = await issue(acme, ann)
    ours = await issue(acme, ann, owner="organization")
    with current.acting_as(await acme.caller()):
        await floor.orgs.members.delete(ann.id)
    with pytest.raises(InvalidApiKey):
        await floor.api_keys.authenticate(mine.secret)
    principal = await floor.api_keys.authenticate(ours.secret)
    assert (principal.user_id, principal.team_id, set(principal.permissions)) == (None, None, {"app:read"})
    [revoked] = floor.heard("api_key.revoked")
    assert (revoked.data["key_id"], revoked.tenant_id) == (mine.id, acme.id)


@pytest.mark.feature("KEY-05")
async def test_a_key_of_a_team_acts_in_the_team_and_ends_with_it(floor: Floor, acme: Company) -> None:
    team = await acme.default_team()
    ann = await acme.hire("ann", "member")
    with current.acting_as(await acme.caller()):
        await floor.orgs.teams.add_member(team, NewTeamMember(user_id=ann.id))
    with pytest.raises(PermissionMissing):
        await issue(acme, ann, owner="team", team_id=team)
    with current.acting_as(await acme.caller()):
        await floor.rbac.place(ann.id, ["admin"], org_id=acme.id, team_id=team)
    key = await issue(acme, ann, owner="team", team_id=team, scopes=["app:write"])
    principal = await floor.api_keys.authenticate(key.secret)
    assert (principal.team_id, principal.user_id, set(principal.permissions)) == (team, None, {"app:write"})
    with current.acting_as(await acme.caller(ann)):
        assert (await floor.api_keys.get(key.id)).owner_id == team
        again = await floor.api_keys.rotate(key.id, Rotation(overlap_hours=0))
    bob = await acme.hire("bob", "member")
    with current.acting_as(await acme.caller(bob)), pytest.raises(UnknownApiKey):
        await floor.api_keys.get(again.id)
    with current.acting_as(await acme.caller()):
        with pytest.raises(ScopeTooWide):
            await issue(acme, owner="team", team_id=team, scopes=["orgs:members"])
        await floor.orgs.teams.delete(team)
        with pytest.raises(UnknownTeam):
            await issue(acme, owner="team", team_id=team)
    with pytest.raises(InvalidApiKey):
        await floor.api_keys.authenticate(again.secret)


@pytest.mark.feature("KEY-05")
@pytest.mark.parametrize("fields", [{"owner": "team"}, {"team_id": "tea_x"}])
async def test_a_teams_key_and_only_a_teams_names_the_team(acme: Company, fields: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        await issue(acme, None, **fields)


@pytest.mark.feature("X-05")
@pytest.mark.parametrize("end", ["deactivate", "delete"])
async def test_the_keys_of_an_account_die_with_it_in_every_organization(floor: Floor, end: str) -> None:
    acme, globex = await floor.organization(), await floor.organization("Globex")
    ann = await acme.hire("ann", "member")
    with current.as_system(globex.id):
        await floor.orgs.members.join(ann.id, "member", org_id=globex.id, source="added")
    secrets = [(await issue(company, ann)).secret for company in (acme, globex)]
    for secret in secrets:
        await floor.api_keys.authenticate(secret)
    await getattr(floor.town, end)(ann.id)
    for secret in secrets:
        with pytest.raises(InvalidApiKey):
            await floor.api_keys.authenticate(secret)
    assert {envelope.tenant_id for envelope in floor.heard("api_key.revoked")} == {acme.id, globex.id}
    if end == "deactivate":
        await floor.town.reactivate(ann.id)
        with pytest.raises(InvalidApiKey):
            await floor.api_keys.authenticate(secrets[0])


@pytest.mark.feature("X-05")
async def test_a_suspended_members_key_sleeps(floor: Floor, acme: Company) -> None:
    ann = await acme.hire("ann", "member")
    key = await issue(acme, ann)
    await floor.orgs.members.suspend(ann.id, org_id=acme.id)
    with pytest.raises(InvalidApiKey):
        await floor.api_keys.authenticate(key.secret)
    await floor.orgs.members.resume(ann.id, org_id=acme.id)
    await floor.api_keys.authenticate(key.secret)


async def test_keys_go_with_their_organization(floor: Floor, acme: Company) -> None:
    key = await issue(acme, owner="organization")
    await floor.api_keys.authenticate(key.secret)
    with current.acting_as(await acme.caller()):
        await floor.orgs.delete(acme.id, Closing(confirm=acme.slug))
    with pytest.raises(InvalidApiKey):
        await floor.api_keys.authenticate(key.secret)


@pytest.mark.feature("KEY-03")
async def test_people_see_their_own_keys_and_managers_everybodys(floor: Floor, acme: Company) -> None:
    ann, bob = await acme.hire("ann", "member"), await acme.hire("bob", "member")
    of_ann, of_bob = await issue(acme, ann), await issue(acme, bob)
    with current.acting_as(await acme.caller(ann)):
        assert [key.id for key in (await floor.api_keys.list()).items] == [of_ann.id]
        for ask in (floor.api_keys.get, floor.api_keys.revoke):
            with pytest.raises(UnknownApiKey):
                await ask(of_bob.id)
        with pytest.raises(PermissionMissing, match="api_keys:manage"):
            await issue(acme, ann, owner="organization")
    with current.acting_as(await acme.caller()):
        page = await floor.api_keys.list(limit=1)
        rest = await floor.api_keys.list(cursor=page.next)
        assert [key.id for key in [*page.items, *rest.items]] == [of_bob.id, of_ann.id]
        with pytest.raises(PermissionMissing):
            await floor.api_keys.rotate(of_ann.id, Rotation())
        await floor.api_keys.revoke(of_ann.id)


async def test_an_organization_has_only_so_many_keys(floor: Floor, acme: Company) -> None:
    narrow = keys(floor, max_keys=1)
    new = NewApiKey(name="x", scopes=["app:read"])
    with current.acting_as(await acme.caller()):
        first = await narrow.issue(new)
        with pytest.raises(TooManyApiKeys):
            await narrow.issue(new)
        await narrow.revoke(first.id)
        await narrow.issue(new)


@pytest.mark.feature("KEY-01")
async def test_the_prefix_can_be_ones_own(floor: Floor, acme: Company) -> None:
    own = keys(floor, prefix="acme")
    with current.acting_as(await acme.caller()):
        secret = (await own.issue(NewApiKey(name="x", scopes=["app:read"]))).secret
    assert secret.startswith("acme_live_")
    assert (own.is_key(secret), floor.api_keys.is_key(secret)) == (True, False)
    await own.authenticate(secret)
    with pytest.raises(InvalidApiKey):
        await floor.api_keys.authenticate(secret)


async def test_keys_are_kept_by_people_only(floor: Floor, acme: Company) -> None:
    key = await issue(acme, scopes=["api_keys:write", "app:read"])
    caller = (await floor.api_keys.authenticate(key.secret)).caller()
    with current.acting_as(caller):
        for ask in (
            floor.api_keys.issue(NewApiKey(name="child", scopes=["app:read"])),
            floor.api_keys.rotate(key.id, Rotation()),
            floor.api_keys.update(key.id, ApiKeyChanges(scopes=["app:read"])),
        ):
            with pytest.raises(OnlyPeopleMakeKeys):
                await ask
        renamed = await floor.api_keys.update(key.id, ApiKeyChanges(name="renamed", rate_limit=5))
    assert (renamed.name, renamed.rate_limit) == ("renamed", 5)


@pytest.mark.feature("KEY-01", "KEY-03")
async def test_keys_are_served(floor: Floor, acme: Company) -> None:
    app = FastAPI()
    assert capability.routes is not None
    app.include_router(capability.routes(floor.api_keys))
    caller = await acme.caller()

    async def gate(scope: Scope, receive: Receive, send: Send) -> None:
        with current.acting_as(caller):
            await app(scope, receive, send)

    async with AsyncClient(transport=ASGITransport(gate), base_url="http://host") as client:
        made = (await client.post("/api-keys", json={"name": "ci", "scopes": ["app:read"]})).json()
        shown = (await client.get(f"/api-keys/{made['id']}")).json()
        assert {**shown, "secret": made["secret"]} == made
        rotated = await client.post(f"/api-keys/{made['id']}/rotate", json={"overlap_hours": 0})
        assert rotated.status_code == 201
        assert (await client.delete(f"/api-keys/{rotated.json()['id']}")).status_code == 204
        assert len((await client.get("/api-keys")).json()["items"]) == 2
        for field in ("id", "org_id", "owner_id", "uses"):
            wrong = {"name": "x", "scopes": ["app:read"], field: "org_other"}
            assert (await client.post("/api-keys", json=wrong)).status_code == 422
