"""Organizations: founding, plans, resolution, domains, the end."""

import asyncio
from dataclasses import replace

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import text
from starlette.types import Receive, Scope, Send

from bartizan.access.orgs import (
    AlreadyAMember,
    Closing,
    DomainNotYours,
    DomainTaken,
    Heir,
    MembershipSuspended,
    NewDomain,
    NewOrganization,
    NewTeam,
    NewWorkspace,
    NotAMember,
    NotConfirmed,
    OrganizationChanges,
    OrganizationDeleted,
    OrgsSettings,
    PlanChanges,
    PlanLimitReached,
    SlugTaken,
    TooManyOrganizations,
    UnknownDomain,
    UnknownMember,
    UnknownOrganization,
)
from bartizan.access.orgs.capability import capability
from bartizan.access.rbac import CannotConfer, NewRole
from bartizan.backbone.events import Envelope
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller, OperatorsOnly, PermissionMissing, current
from bartizan.foundation.database import Database
from tests.harness.access import Company, Floor, build

OPERATOR = Caller(id="usr_op", kind="user", user_id="usr_op", operator=True)


@pytest.fixture
async def acme(floor: Floor) -> Company:
    return await floor.organization()


@pytest.mark.feature("TEN-01")
async def test_who_founds_an_organization_owns_it_and_its_first_team(floor: Floor) -> None:
    ann = floor.town.register("ann")
    with current.acting_as(Caller(id=ann.id, kind="user", user_id=ann.id)):
        made = await floor.orgs.found(NewOrganization(name="Acme"))
        assert (made.slug, made.plan, made.settings, made.limits["seats"]) == ("acme", "free", {}, 50)
        assert [(o.id, o.roles, o.status) for o in await floor.orgs.mine()] == [
            (made.id, ["owner"], "active")
        ]
    with current.acting_as(await floor.caller(ann.id, made.id)):
        [team] = (await floor.orgs.teams.list()).items
        assert (team.name, team.is_default) == ("General", True)
        assert [m.role for m in (await floor.orgs.teams.members(team.id)).items] == ["owner"]
        assert await floor.orgs.get(made.id) == made
    assert await floor.orgs.first_of(ann.id) == made.id
    [event] = floor.heard("organization.created")
    assert (event.tenant_id, event.data["owner_id"]) == (made.id, ann.id)


@pytest.mark.feature("TEN-01")
async def test_a_short_name_is_made_unique_or_refused_if_it_was_asked_for(
    floor: Floor, acme: Company
) -> None:
    second = await floor.organization("Acme")
    assert second.slug.startswith("acme-")
    with pytest.raises(SlugTaken):
        await floor.orgs.create(NewOrganization(name="x", slug="acme"), owner_id=acme.owner.id)
    odd = await floor.orgs.create(NewOrganization(name="日本"), owner_id=acme.owner.id)
    assert odd.slug == "org"
    with current.acting_as(await second.caller()):
        with pytest.raises(SlugTaken):
            await floor.orgs.update(second.id, OrganizationChanges(slug="acme"))
        changed = await floor.orgs.update(
            second.id, OrganizationChanges(name="Acme 2", slug="acme-2", settings={"locale": "de"})
        )
        assert await floor.orgs.get(second.id) == changed
    assert (changed.name, changed.slug, changed.settings) == ("Acme 2", "acme-2", {"locale": "de"})


async def test_people_found_only_so_many_and_only_if_they_may(database: Database, clock: ManualClock) -> None:
    floor = build(database, clock, OrgsSettings(max_organizations=1, self_service=False, default_team=""))
    acme = await floor.organization()
    with pytest.raises(TooManyOrganizations):
        await floor.organization("Second", acme.owner)
    with current.acting_as(await acme.caller()):
        with pytest.raises(OperatorsOnly):
            await floor.orgs.found(NewOrganization(name="Third"))
        assert (await floor.orgs.teams.list()).items == []


@pytest.mark.feature("TEN-01")
async def test_operators_list_organizations_and_set_their_plans(floor: Floor, acme: Company) -> None:
    globex = await floor.organization("Globex")
    with current.acting_as(OPERATOR):
        assert [o.id for o in (await floor.orgs.list()).items] == [globex.id, acme.id]
        page = await floor.orgs.list(limit=1)
        assert [o.id for o in (await floor.orgs.list(cursor=page.next)).items] == [acme.id]
        planned = await floor.orgs.plan(acme.id, PlanChanges(plan="pro", limits={"seats": 3, "agents": None}))
        assert (planned.plan, planned.limits["seats"], planned.limits["teams"]) == ("pro", 3, 200)
        assert (await floor.orgs.plan(acme.id, PlanChanges(plan="enterprise"))).limits == {
            "seats": 3,
            "agents": None,
        }
        assert (await floor.orgs.get(acme.id)).name == "Acme"
        with pytest.raises(UnknownOrganization):
            await floor.orgs.plan("org_none", PlanChanges())
    with current.acting_as(await acme.caller()):
        for ask in (floor.orgs.list, lambda: floor.orgs.plan(acme.id, PlanChanges(plan="enterprise"))):
            with pytest.raises(OperatorsOnly):
                await ask()


@pytest.mark.feature("TEN-10")
async def test_a_plans_last_seat_is_taken_once_however_many_come(floor: Floor, acme: Company) -> None:
    with current.as_system():
        await floor.orgs.plan(acme.id, PlanChanges(limits={"seats": 4, "teams": 3}))
    people = [floor.town.register(f"p{n}") for n in range(8)]
    owner = await acme.caller()

    async def join(user_id: str) -> str:
        with current.as_system(acme.id):
            return await floor.orgs.members.join(user_id, "member", org_id=acme.id, source="added")

    async def team(number: int) -> object:
        with current.acting_as(owner):
            return await floor.orgs.teams.create(NewTeam(name=f"Team {number}"))

    joined = await asyncio.gather(*(join(person.id) for person in people), return_exceptions=True)
    made = await asyncio.gather(*(team(number) for number in range(5)), return_exceptions=True)
    assert sum(isinstance(one, str) for one in joined) == 3
    assert sum(not isinstance(one, BaseException) for one in made) == 2
    refused = [one for one in [*joined, *made] if isinstance(one, BaseException)]
    assert {type(one) for one in refused} == {PlanLimitReached}
    with current.acting_as(owner):
        assert len((await floor.orgs.members.list()).items) == 4
        assert len((await floor.orgs.teams.list()).items) == 3
    error = next(one for one in refused if isinstance(one, PlanLimitReached))
    assert error.facts == {"resource": "seats", "limit": 4, "used": 4, "plan": "free"}


@pytest.mark.feature("TEN-10")
async def test_a_suspended_member_gives_the_seat_back(floor: Floor, acme: Company) -> None:
    ann = await acme.hire("ann")
    with current.as_system(acme.id):
        await floor.orgs.plan(acme.id, PlanChanges(limits={"seats": 2}))
        await floor.orgs.members.suspend(ann.id, org_id=acme.id)
        await acme.hire("bob")
        with pytest.raises(PlanLimitReached):
            await floor.orgs.members.resume(ann.id, org_id=acme.id)


@pytest.mark.feature("TEN-10")
async def test_a_host_limits_its_own_things_by_plan(floor: Floor, acme: Company) -> None:
    with current.as_system():
        await floor.orgs.plan(acme.id, PlanChanges(limits={"workflows": 2, "workspaces": 1}))
    workflows: list[int] = []

    async def count() -> int:
        return len(workflows)

    async def add() -> None:
        async with floor.database.transaction():
            await floor.orgs.plans.take("workflows", count, org_id=acme.id)
            await asyncio.sleep(0)
            workflows.append(1)

    done = await asyncio.gather(*(add() for _ in range(6)), return_exceptions=True)
    assert len(workflows) == 2
    assert sum(isinstance(one, PlanLimitReached) for one in done) == 4
    with current.acting_as(await acme.caller()):
        await floor.orgs.workspaces.create(NewWorkspace(name="One"))
        with pytest.raises(PlanLimitReached):
            await floor.orgs.workspaces.create(NewWorkspace(name="Two"))
    with pytest.raises(UnknownOrganization):
        await floor.orgs.plans.take("workflows", count, org_id="org_none")


@pytest.mark.feature("TEN-06", "TEN-12")
async def test_a_header_chooses_an_organization_for_members_only(floor: Floor, acme: Company) -> None:
    globex = await floor.organization("Globex")
    team = await acme.default_team()
    ann = await acme.hire("ann", "viewer")
    orgs = floor.orgs
    assert await orgs.resolve(ann.id) is None
    claimed = await orgs.resolve(ann.id, claim=acme.id)
    assert claimed is not None
    assert (claimed.org_id, set(claimed.roles), claimed.team_id) == (acme.id, {"viewer"}, None)
    assert await orgs.resolve(ann.id, org=acme.id) == claimed
    assert await orgs.resolve(ann.id, claim=globex.id) is None
    for headers in ({"org": globex.id}, {"org": globex.id, "claim": acme.id}, {"team": team}):
        with pytest.raises(NotAMember):
            await orgs.resolve(ann.id, **headers)
    with pytest.raises(NotAMember):
        await orgs.resolve(ann.id, claim=acme.id, team=team)
    inside = await orgs.resolve(acme.owner.id, claim=acme.id, team=team)
    assert inside is not None
    assert inside.team_id == team
    with pytest.raises(NotAMember):
        await orgs.resolve(globex.owner.id, org=globex.id, team=team)
    with current.as_system(globex.id):
        await orgs.members.join(ann.id, "admin", org_id=globex.id, source="added")
    switched = await orgs.resolve(ann.id, claim=acme.id, org=globex.id)
    assert switched is not None
    assert switched.roles == {"admin"}
    await orgs.members.suspend(ann.id, org_id=acme.id)
    for name in ("claim", "org"):
        with pytest.raises(MembershipSuspended):
            await orgs.resolve(ann.id, **{name: acme.id})
    assert await orgs.first_of(ann.id) == globex.id


async def test_an_organization_is_handed_over(floor: Floor, acme: Company) -> None:
    ann = await acme.hire("ann", "member")
    with current.acting_as(await acme.caller()):
        for nobody in (acme.owner.id, "usr_none"):
            with pytest.raises(UnknownMember):
                await floor.orgs.transfer(acme.id, Heir(user_id=nobody))
        await floor.orgs.transfer(acme.id, Heir(user_id=ann.id))
    assert (await floor.rbac.effective(ann.id, acme.id)).roles == {"owner"}
    assert (await floor.rbac.effective(acme.owner.id, acme.id)).roles == {"admin"}
    with current.acting_as(await acme.caller()), pytest.raises(PermissionMissing, match="orgs:delete"):
        await floor.orgs.transfer(acme.id, Heir(user_id=acme.owner.id))


@pytest.mark.feature("TEN-09")
async def test_with_an_organization_goes_everything_but_its_log(floor: Floor, acme: Company) -> None:
    globex = await floor.organization("Globex")
    heard: list[str] = []
    async with floor.database.transaction() as session:
        await session.execute(
            text(
                "create table notes (id integer primary key, org_id varchar(30) not null "
                "references bz_orgs (id) on delete cascade)"
            )
        )
        for number, company in enumerate((acme, globex)):
            await session.execute(
                text("insert into notes values (:number, :org)"), {"number": number, "org": company.id}
            )

    async def tidy(envelope: Envelope) -> None:
        heard.append(str(envelope.tenant_id))

    floor.events.within(OrganizationDeleted, tidy)
    ann = await acme.hire("ann")
    with current.acting_as(await acme.caller()):
        await floor.rbac.roles.create(NewRole(name="odd"))
        await floor.orgs.workspaces.create(NewWorkspace(name="One"))
        with pytest.raises(NotConfirmed):
            await floor.orgs.delete(acme.id, Closing(confirm="globex"))
        await floor.orgs.delete(acme.id, Closing(confirm=acme.slug))
        with pytest.raises(UnknownOrganization):
            await floor.orgs.get(acme.id)
    assert heard == [acme.id]
    assert await floor.orgs.of(ann.id) == []
    assert (await floor.rbac.effective(acme.owner.id, acme.id)).roles == frozenset()
    with current.as_system(acme.id):
        latest = (await floor.events.list()).items
    assert latest[0].type == "organization.deleted"
    async with floor.database.reading() as session:
        notes = await session.run_sync(
            lambda connected: connected.scalars(text("select org_id from notes")).all()
        )
    assert notes == [globex.id]
    assert await floor.orgs.first_of(globex.owner.id) == globex.id
    async with floor.database.transaction() as session:
        await session.execute(text("drop table notes"))


@pytest.mark.feature("TEN-09")
async def test_a_failing_listener_keeps_the_organization(floor: Floor, acme: Company) -> None:
    async def refuse(_envelope: Envelope) -> None:
        raise RuntimeError("the host cannot let go")

    floor.events.within("organization.deleted", refuse)
    with current.acting_as(await acme.caller()):
        with pytest.raises(RuntimeError):
            await floor.orgs.delete(acme.id, Closing(confirm=acme.slug))
        assert (await floor.orgs.get(acme.id)).slug == acme.slug


async def test_people_of_a_listed_domain_join_when_they_register(floor: Floor, acme: Company) -> None:
    with current.acting_as(await acme.caller()):
        listed = await floor.orgs.domains.create(NewDomain(domain="acme.example", role="viewer"))
        assert await floor.orgs.domains.list() == [listed]
        with pytest.raises(DomainTaken):
            await floor.orgs.domains.create(NewDomain(domain="acme.example"))
        with pytest.raises(DomainNotYours):
            await floor.orgs.domains.create(NewDomain(domain="globex.example"))
    ann = floor.town.register("ann")
    assert await floor.orgs.domains.home_of(ann.email.upper()) == acme.id
    assert await floor.orgs.domains.admit(ann.id, ann.email) == acme.id
    assert (await floor.rbac.effective(ann.id, acme.id)).roles == {"viewer"}
    with pytest.raises(AlreadyAMember):
        await floor.orgs.domains.admit(ann.id, ann.email)
    assert await floor.orgs.domains.admit(ann.id, "ann@elsewhere.example") is None
    assert await floor.orgs.domains.home_of("ann@elsewhere.example") is None
    with current.acting_as(await acme.caller()):
        await floor.orgs.domains.delete("acme.example")
        with pytest.raises(UnknownDomain):
            await floor.orgs.domains.delete("acme.example")


async def test_nobody_lists_a_domain_that_anybody_can_have(floor: Floor, acme: Company) -> None:
    owner = replace(await acme.caller(), email="boss@gmail.com")
    with current.acting_as(owner), pytest.raises(DomainNotYours):
        await floor.orgs.domains.create(NewDomain(domain="gmail.com"))
    admin = await acme.hire("ann", "admin")
    with current.acting_as(await acme.caller(admin)), pytest.raises(CannotConfer):
        await floor.orgs.domains.create(NewDomain(domain="acme.example", role="owner"))
    with current.as_system(acme.id):
        assert (await floor.orgs.domains.create(NewDomain(domain="globex.example"))).role == "member"


@pytest.mark.feature("TEN-02")
async def test_organizations_members_and_teams_are_served(floor: Floor, acme: Company) -> None:
    app = FastAPI()
    assert capability.routes is not None
    app.include_router(capability.routes(floor.orgs))
    caller = await acme.caller()

    async def gate(scope: Scope, receive: Receive, send: Send) -> None:
        with current.acting_as(caller):
            await app(scope, receive, send)

    async with AsyncClient(transport=ASGITransport(gate), base_url="http://host") as client:
        assert [o["id"] for o in (await client.get("/orgs")).json()] == [acme.id]
        assert (await client.patch(f"/orgs/{acme.id}", json={"plan": "enterprise"})).status_code == 422
        team = (await client.post("/teams", json={"name": "Builders"})).json()
        assert (await client.get(f"/teams/{team['id']}")).json() == team
        assert (await client.get("/members")).json()["items"][0]["roles"] == ["owner"]
        invited = await client.post("/invitations", json={"email": "new@acme.example"})
        assert (invited.status_code, invited.json()["status"]) == (201, "pending")
        assert "token" not in invited.text
        assert (await client.delete(f"/teams/{team['id']}")).status_code == 204
        assert (await client.post(f"/orgs/{acme.id}/close", json={"confirm": "acme"})).status_code == 204
