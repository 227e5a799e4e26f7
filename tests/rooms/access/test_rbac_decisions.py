"""Explanations, rules about single resources, and the guard for hosts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.types import Receive, Scope, Send

from bartizan.access.rbac import (
    NewGrant,
    NewRole,
    RoleChoice,
    Rule,
    UnknownPermission,
    attribute,
    owned,
    require_permission,
)
from bartizan.access.rbac.capability import capability
from bartizan.foundation.context import Caller, NobodyAsks, Permission, PermissionMissing, current
from tests.harness.access import Company, Floor

VIEWER = Caller(
    id="usr_v", kind="user", org_id="org_a", user_id="usr_v", permissions=frozenset({"invoice:read"})
)
MANAGER = Caller(
    id="usr_m",
    kind="user",
    org_id="org_a",
    user_id="usr_m",
    permissions=frozenset({"document:read", "document:manage"}),
)
READER = Caller(
    id="usr_r", kind="user", org_id="org_a", user_id="usr_r", permissions=frozenset({"document:read"})
)


# Explanations


@pytest.mark.feature("AZ-07", "X-28")
async def test_an_explanation_names_the_role_that_gives_it(floor: Floor) -> None:
    acme = await floor.organization()
    ann = await acme.hire("ann")
    with current.acting_as(await acme.caller()):
        answer = await floor.rbac.explain(ann.id, "app.write")
    assert (answer.allowed, answer.permission, answer.would_allow) == (True, "app:write", [])
    assert [(step.kind, step.role) for step in answer.because if step.decides] == [("role", "member")]
    assert answer.summary == f"{ann.id} may app:write: the role member includes app:write."


@pytest.mark.feature("AZ-07", "X-28")
async def test_an_explanation_of_a_refusal_names_what_would_allow_it(floor: Floor) -> None:
    acme = await floor.organization()
    ann = await acme.hire("ann", "viewer")
    with current.acting_as(await acme.caller()):
        await floor.rbac.roles.create(NewRole(name="writer", permissions=["app:write"]))
        answer = await floor.rbac.explain(ann.id, "app:write")
    assert not answer.allowed
    assert {"owner", "admin", "member", "writer"} <= set(answer.would_allow)
    assert "viewer" not in answer.would_allow
    assert [step.kind for step in answer.because] == ["none", "role"]


@pytest.mark.feature("AZ-07", "X-28")
async def test_an_explanation_shows_grants_denials_owners_and_suspension(floor: Floor) -> None:
    acme = await floor.organization()
    ann = await acme.hire("ann", "viewer")

    async def decides(person: str, permission: str) -> tuple[bool, str, str]:
        answer = await floor.rbac.explain(person, permission)
        first = next(step for step in answer.because if step.decides)
        return answer.allowed, first.kind, first.text

    with current.acting_as(await acme.caller()):
        await floor.rbac.grants.create(ann.id, NewGrant(permission="app:write", reason="on call"))
        assert await decides(ann.id, "app:write") == (
            True,
            "grant",
            f"it was granted to the person by {acme.owner.id} (on call)",
        )
        await floor.rbac.grants.create(ann.id, NewGrant(permission="app:read", allowed=False))
        assert (await decides(ann.id, "app:read"))[:2] == (False, "denial")
        assert (await decides(acme.owner.id, "orgs:delete"))[:2] == (True, "owner")
        await floor.rbac.suspend(ann.id, org_id=acme.id)
        assert (await decides(ann.id, "app:write"))[:2] == (False, "suspended")


@pytest.mark.feature("AZ-07")
async def test_an_explanation_says_when_it_depends_on_the_team(floor: Floor) -> None:
    acme = await floor.organization()
    team = await acme.default_team()
    ann = await acme.hire("ann", "viewer")
    with current.as_system(acme.id):
        await floor.orgs.teams.join(team, ann.id, "member", org_id=acme.id)
        outside = await floor.rbac.explain(ann.id, "app:write")
        inside = await floor.rbac.explain(ann.id, "app:write", team)
    assert (outside.allowed, inside.allowed) == (False, True)
    assert f"as member of the team {team} it is allowed, but only inside that team" in [
        step.text for step in outside.because
    ]
    assert [(step.kind, step.team_id) for step in inside.because if step.decides] == [("team", team)]


@pytest.mark.feature("AZ-07")
async def test_everyone_may_ask_about_themselves_only(floor: Floor) -> None:
    acme = await floor.organization()
    ann = await acme.hire("ann")
    with current.acting_as(await acme.caller(ann)):
        assert (await floor.rbac.explain(ann.id, "app:read")).allowed
        with pytest.raises(PermissionMissing, match="rbac:explain"):
            await floor.rbac.explain(acme.owner.id, "app:read")
        with pytest.raises(UnknownPermission):
            await floor.rbac.explain(ann.id, "no:such")


async def test_an_explanation_always_agrees_with_the_decision(floor: Floor) -> None:
    acme = await floor.organization()
    team = await acme.default_team()
    people = [acme.owner.id]
    roles = ("admin", "developer", "operator", "member", "viewer", "auditor")
    people += [(await acme.hire(role, role)).id for role in roles]
    with current.as_system(acme.id):
        await floor.orgs.teams.join(team, people[-1], "admin", org_id=acme.id)
        await floor.rbac.grants.create(people[4], NewGrant(permission="app:write", allowed=False))
        await floor.rbac.grants.create(people[5], NewGrant(permission="orgs:members"))
        for person in people:
            for inside in (None, team):
                held = (await floor.rbac.effective(person, acme.id, inside)).permissions
                for name in sorted(floor.rbac.names()):
                    answer = await floor.rbac.explain(person, name, inside)
                    assert answer.allowed == (name in held), (person, name)
                    gives = any(
                        step.decides and step.kind in {"role", "team", "grant", "owner"}
                        for step in answer.because
                    ) and not any(step.kind == "denial" for step in answer.because)
                    assert gives == answer.allowed, answer


@pytest.mark.feature("AZ-07")
async def test_who_can_lists_people_with_what_it_comes_from(floor: Floor) -> None:
    acme = await floor.organization()
    team = await acme.default_team()
    ann = await acme.hire("ann", "viewer")
    bob = await acme.hire("bob", "viewer")
    eve = await acme.hire("eve", "member")
    other = await acme.hire("other", "viewer")
    with current.acting_as(await acme.caller()):
        await floor.rbac.grants.create(ann.id, NewGrant(permission="app:write"))
        await floor.rbac.grants.create(eve.id, NewGrant(permission="app:write", allowed=False))
        await floor.orgs.teams.join(team, bob.id, "member", org_id=acme.id)
        found = {able.user_id: able.via for able in (await floor.rbac.who_can("app.write")).items}
        assert found == {
            acme.owner.id: ["owner", f"owner of {team}"],
            ann.id: ["grant"],
            bob.id: [f"member of {team}"],
        }
        assert other.id not in found
        first = await floor.rbac.who_can("app:write", limit=2)
        rest = await floor.rbac.who_can("app:write", limit=2, cursor=first.next)
    assert [able.user_id for able in [*first.items, *rest.items]] == sorted(found)
    assert rest.next is None


# Rules about single resources


class Base(DeclarativeBase):
    pass


class Document(Base):
    __tablename__ = "documents"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[str]
    team_id: Mapped[str | None]


@dataclass
class Case:
    floor: Floor
    mine: Document
    yours: Document


@pytest.fixture
def case(floor: Floor) -> Case:
    floor.rbac.declare(Permission("document:read", "Read"), Permission("document:manage", "Manage"))
    return Case(floor, Document(id=1, owner_id="usr_r"), Document(id=2, owner_id="usr_x"))


@pytest.mark.feature("AZ-06")
def test_only_its_owner_touches_a_resource(case: Case) -> None:
    rbac = case.floor.rbac
    rbac.rule("documents.read", owned(Document.owner_id, unless="document:manage"))
    with current.acting_as(READER):
        assert (rbac.allow("document:read", case.mine), rbac.allow("document:read", case.yours)) == (
            True,
            False,
        )
        assert rbac.visible("document:read", [case.mine, case.yours]) == [case.mine]
        rbac.require("document:read", case.mine)
        with pytest.raises(PermissionMissing, match="document:read"):
            rbac.require("document:read", case.yours)
        query = str(
            rbac.narrow("document:read", select(Document.id)).compile(compile_kwargs={"literal_binds": True})
        )
        assert query.endswith("WHERE documents.owner_id = 'usr_r'")
    with current.acting_as(MANAGER):
        assert rbac.allow("document:read", case.yours)
        assert "WHERE" not in str(rbac.narrow("document:read", select(Document.id)))
    with current.as_system("org_a"):
        assert rbac.allow("document:read", case.yours)


@pytest.mark.feature("AZ-06")
def test_an_attribute_decides(case: Case) -> None:
    rbac = case.floor.rbac
    rbac.rule("document:read", attribute(Document.team_id, lambda caller: caller.team_id))
    ours = Document(id=3, owner_id="usr_x", team_id="tea_1")
    inside = Caller(id="usr_r", kind="user", user_id="usr_r", team_id="tea_1", permissions=READER.permissions)
    with current.acting_as(inside):
        assert rbac.visible("document:read", [ours, Document(id=4, owner_id="usr_x", team_id="tea_2")]) == [
            ours
        ]
        query = rbac.narrow("document:read", select(Document.id))
        assert str(query.compile(compile_kwargs={"literal_binds": True})).endswith("team_id = 'tea_1'")


@pytest.mark.feature("AZ-06")
def test_a_rule_narrows_and_never_widens(case: Case) -> None:
    rbac = case.floor.rbac
    rbac.rule("document:manage", lambda caller, document: document.owner_id == caller.user_id)
    with current.acting_as(READER):
        assert not rbac.allow("document:manage", case.mine)
        with pytest.raises(PermissionMissing):
            rbac.require("document:manage", case.mine)
        with pytest.raises(PermissionMissing):
            rbac.narrow("document:manage", select(Document.id))
    with current.acting_as(MANAGER), pytest.raises(TypeError, match="where"):
        rbac.narrow("document:manage", select(Document.id))


def test_a_key_without_an_owner_owns_nothing(case: Case) -> None:
    rbac = case.floor.rbac
    rbac.rule("document:read", owned("owner_id"))
    nobodys = Document(id=5)
    key = Caller(id="key_1", kind="key", org_id="org_a", permissions=READER.permissions)
    with current.acting_as(key):
        assert not rbac.allow("document:read", nobodys)
    assert Rule(holds=lambda _caller, _resource: True).unless is None


# The guard for hosts


def called(guard: Callable[..., Any]) -> Any:
    return guard()


@pytest.mark.feature("AZ-03")
@pytest.mark.parametrize("name", ["invoice:read", "invoices:read", "invoice.read", "Invoices.read"])
async def test_the_decorator_lets_holders_in_and_names_the_permission_to_others(name: str) -> None:
    @require_permission(name)
    async def show(number: int) -> int:
        return number

    @require_permission(name)
    def count() -> int:
        return 7

    with current.acting_as(VIEWER):
        assert (await show(3), count()) == (3, 7)
    with current.as_system():
        assert count() == 7
    with current.acting_as(READER):
        with pytest.raises(PermissionMissing, match="invoice"):
            await show(number=3)
        with pytest.raises(PermissionMissing) as refused:
            count()
    assert refused.value.facts["permission"].endswith(":read")
    assert (show.__name__, count.__name__) == ("show", "count")
    with pytest.raises(NobodyAsks):
        count()


@pytest.mark.feature("AZ-03")
async def test_a_call_without_a_framework_checks_at_once_and_can_be_awaited() -> None:
    guard = require_permission("invoice:read")
    with current.acting_as(VIEWER):
        assert await called(guard) is None
    with current.acting_as(READER), pytest.raises(PermissionMissing):
        called(guard)


@pytest.mark.feature("AZ-03")
async def test_the_guard_is_a_fastapi_dependency_with_no_parameters() -> None:
    app = FastAPI()

    @app.get("/invoices", dependencies=[Depends(require_permission("invoices.read"))])
    async def invoices() -> list[str]:
        return ["one"]

    @app.exception_handler(PermissionMissing)
    async def refuse(_request: Any, error: PermissionMissing) -> Any:
        from starlette.responses import JSONResponse  # noqa: PLC0415

        return JSONResponse({"detail": str(error), **error.facts}, status_code=403)

    caller = READER

    async def gate(scope: Scope, receive: Receive, send: Send) -> None:
        with current.acting_as(caller):
            await app(scope, receive, send)

    async with AsyncClient(transport=ASGITransport(gate), base_url="http://host") as client:
        refused = await client.get("/invoices")
        caller = VIEWER
        answered = await client.get("/invoices")
    assert (refused.status_code, refused.json()["permission"]) == (403, "invoices:read")
    assert answered.json() == ["one"]
    operation = app.openapi()["paths"]["/invoices"]["get"]
    assert "parameters" not in operation
    assert "requestBody" not in operation


@pytest.mark.feature("AZ-03")
async def test_a_guard_made_by_the_house_declares_its_permission(floor: Floor) -> None:
    acme = await floor.organization()
    guard = floor.rbac.guard("report:export", "Export reports")
    assert floor.rbac.guard("reports.export").permission == "report:export"
    with current.acting_as(await acme.caller()):
        guard.check()
    with current.acting_as(await acme.caller(await acme.hire("ann"))), pytest.raises(PermissionMissing):
        guard.check()


# Over HTTP


async def api(company: Company, caller: Caller) -> AsyncClient:
    app = FastAPI()
    assert capability.routes is not None
    app.include_router(capability.routes(company.floor.rbac))

    async def gate(scope: Scope, receive: Receive, send: Send) -> None:
        with current.acting_as(caller):
            await app(scope, receive, send)

    return AsyncClient(transport=ASGITransport(gate), base_url="http://host")


@pytest.mark.feature("AZ-07", "AZ-05")
async def test_explanations_and_roles_are_served(floor: Floor) -> None:
    acme = await floor.organization()
    ann = await acme.hire("ann", "viewer")
    async with await api(acme, await acme.caller()) as client:
        for path in ("/authz/explain", "/rbac/explain"):
            answer = await client.get(path, params={"user_id": ann.id, "permission": "app.write"})
            assert answer.json()["allowed"] is False
        made = await client.post("/rbac/roles", json={"name": "writer", "permissions": ["app.write"]})
        assert (made.status_code, made.json()["permissions"]) == (201, ["app:write"])
        assert (await client.get("/rbac/roles/writer")).json() == made.json()
        given = await client.put(f"/rbac/members/{ann.id}/roles", json={"roles": ["writer"]})
        assert given.json()["permissions"] == ["app:write"]
        who = await client.get("/rbac/who-can", params={"permission": "app:write"})
        assert {able["user_id"] for able in who.json()["items"]} == {acme.owner.id, ann.id}
        assert len((await client.get("/rbac/permissions")).json()) >= 12
    with current.acting_as(await acme.caller()):
        await floor.rbac.assign(ann.id, RoleChoice(roles=["viewer"]))
