"""Everything the API offers, and one of each thing in an organization, for attacks on them all."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from bartizan.access.identity import UserChanges
from bartizan.backbone.jobs import JobContext
from bartizan.backbone.preferences import Preference
from bartizan.doors.frameworks import Wrapped, alone
from bartizan.doors.http import control_plane
from bartizan.doors.testing import Cast, Person, anyone, program
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import current
from bartizan.house import Bartizan

API = "/_bartizan/api/v1"
MARK = "zyzzyva"
"""Stands in everything that Globex wrote; where it turns up elsewhere, something leaked."""
SAFE = {"GET", "HEAD"}
PUBLIC = {
    "POST /auth/register",
    "POST /auth/login",
    "POST /auth/refresh",
    "POST /auth/verify",
    "POST /auth/verify/resend",
    "POST /auth/password/forgot",
    "POST /auth/password/reset",
    "POST /invitations/read",
}
"""What nobody has to be signed in for. Whoever adds a line here opens a door."""


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    method: str
    template: str
    schema: str | None
    """Name of the body's schema, if there is a body."""
    required: tuple[str, ...] = ()
    """Names that the query has to hold."""

    def __str__(self) -> str:
        return f"{self.method} {self.template}"

    @property
    def changes(self) -> bool:
        return self.method not in SAFE

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.template)

    def path(self, things: Mapping[str, str]) -> str:
        """Fill in the ids; a parameter without a sample is a mistake of whoever added the route."""
        room = self.template.split("/")[1]

        def sample(found: re.Match[str]) -> str:
            name = found[1]
            value = things.get(f"{room}.{name}", things.get(name))
            assert value, f"{self}: give a sample of {name!r} in furnish(), so that attacks reach this route"
            return quote(value, safe="")

        return API + re.sub(r"{(\w+)}", sample, self.template)

    def body(self, things: Mapping[str, str], **more: Any) -> dict[str, Any] | None:
        """Give a body that would be accepted."""
        if self.schema is None:
            return None
        made = bodies(things)
        assert self.schema in made, f"{self}: give a sample of {self.schema} in bodies()"
        return {**made[self.schema], **more}

    async def call(
        self, http: httpx.AsyncClient, things: Mapping[str, str], **options: Any
    ) -> httpx.Response:
        """Do it, with a good body."""
        if self.schema is not None:
            options.setdefault("json", self.body(things))
        samples = {"permission": "app:read", "user_id": things["user_id"], "address": "203.0.113.9"}
        options["params"] = {name: samples[name] for name in self.required} | options.get("params", {})
        return await http.request(self.method, self.path(things), **options)


def operations(bz: Bartizan) -> list[Operation]:
    """List everything the control plane offers."""
    found: list[Operation] = []
    for path, verbs in control_plane(bz).openapi()["paths"].items():
        for verb, operation in verbs.items():
            content: dict[str, Any] = operation.get("requestBody", {}).get("content", {})
            shape: dict[str, Any] = next(iter(content.values()), {})
            schema = shape.get("schema", {}) if content else None
            name = None if schema is None else _name(schema)
            required = tuple(
                one["name"]
                for one in operation.get("parameters", ())
                if one["in"] == "query" and one["required"]
            )
            found.append(Operation(verb.upper(), path.removeprefix("/api/v1"), name, required))
    assert len(found) > 100
    return found


def _name(schema: Mapping[str, Any]) -> str:
    for part in (schema, *schema.get("anyOf", ())):
        if "$ref" in part:
            return str(part["$ref"]).rpartition("/")[2]
    return str(schema["title"])


def bodies(things: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Give a good body of every schema."""
    user_id, password = things["user_id"], "correct horse battery staple 9"
    token = "x" * 43
    return {
        "NewAuditEntry": {"action": "invoice.sent"},
        "NewSchedule": {"name": "nightly-2", "kind": "export.run", "every": 3600},
        "NewSecret": {"name": "another_secret", "value": "v"},
        "SecretRotation": {"value": "changed"},
        "PreferenceChange": {"value": "changed"},
        "NewLimit": {"scope": "user", "target": user_id, "rate": "10/minute"},
        "ImportedUser": {"email": "imported@example.com"},
        "UserChanges": {"full_name": "Changed"},
        "ProfileChanges": {"full_name": "Changed"},
        "LinkOnly": {"token": token},
        "EmailOnly": {"email": "somebody@example.com"},
        "NewPassword": {"token": token, "password": password},
        "PasswordChange": {"current_password": "not it, surely", "new_password": password},
        "NewRole": {"name": "another-role", "permissions": ["app:read"]},
        "RoleChanges": {"description": "changed"},
        "RoleChoice": {"roles": ["viewer"]},
        "NewGrant": {"permission": "app:read"},
        "NewOrganization": {"name": "Another"},
        "PlanChanges": {"plan": "enterprise"},
        "OrganizationChanges": {"name": "Changed"},
        "Heir": {"user_id": user_id},
        "Closing": {"confirm": "globex"},
        "NewMember": {"user_id": user_id},
        "MemberChanges": {"role": "viewer"},
        "NewTeam": {"name": "Another"},
        "TeamChanges": {"name": "Changed"},
        "NewTeamMember": {"user_id": user_id},
        "TeamMemberChanges": {"role": "viewer"},
        "NewWorkspace": {"name": "Another"},
        "WorkspaceChanges": {"name": "Changed"},
        "NewInvitation": {"email": "guest@example.com"},
        "Acceptance": {"token": token},
        "NewDomain": {"domain": "another.example"},
        "Registration": {"email": "new@example.com", "password": password},
        "Credentials": {"login": "nobody@example.com", "password": password},
        "Refresh": {"refresh_token": token},
        "Switch": {"org_id": things["org_id"]},
        "Impersonation": {"user_id": user_id, "reason": "To try it"},
        "Stopping": {},
        "NewApiKey": {"name": "another", "scopes": ["app:read"]},
        "ApiKeyChanges": {"name": "changed"},
        "Rotation": {},
        "NewIpRule": {"addresses": ["0.0.0.0/0", "::/0"]},
        "IpRuleChanges": {"note": "changed"},
        "IpOverride": {"reason": "To try it"},
        "IpSimulation": {"rules": [{"addresses": ["0.0.0.0/0", "::/0"]}]},
    }


async def house(settings: Mapping[str, Any], clock: Clock | None = None, **more: Any) -> Wrapped:
    """Open a house that has something to schedule and something to prefer."""
    app = alone(dict(settings) | more)
    if clock is not None:
        app = Wrapped(app._app, Bartizan(dict(settings) | more, clock=clock))

    async def export(_payload: dict[str, Any], _job: JobContext) -> None:
        pass

    app.bz.jobs.handler("export.run", export, open=True)
    app.bz.preferences.declare(
        Preference(key="theme.color", type=str, default="blue", description="The colour.")
    )
    await app.bz.start(embedded=False)
    return app


@dataclass(frozen=True)
class Company:
    """An organization with its people, and an id of everything in it."""

    id: str
    owner: Person
    admin: Person
    member: Person
    viewer: Person
    operator: Person
    things: Mapping[str, str]

    def ids(self) -> Iterator[str]:
        """Give ids that nobody outside should ever be told."""
        yield self.id
        for person in (self.owner, self.admin, self.member, self.viewer):
            yield person.id
        for value in self.things.values():
            if re.fullmatch(r"[a-z]{3}_\w{26}", value):
                yield value


async def company(app: Wrapped, name: str, mark: str = "") -> Company:
    """Found an organization with one of everything, made over HTTP as a customer would."""
    cast = Cast(app.bz)
    org_id = await cast.organization(f"{name}{mark}")
    people = {
        role: await cast.person(org_id, role, name=f"{mark}{role}")
        for role in ("owner", "admin", "member", "viewer")
    }
    operator = await cast.person(org_id, "owner", name=f"{mark}operator")
    with current.as_system():
        await app.bz.identity.update(operator.id, UserChanges(is_operator=True))
        mail = f"owner@{mark or name.lower()}.example"
        await app.bz.identity.update(people["owner"].id, UserChanges(email=mail, email_verified=True))
    operator = await cast.sign_in(operator.id, org_id, "owner")
    people["owner"] = await cast.sign_in(people["owner"].id, org_id, "owner")
    async with program(app, people["owner"]) as http:
        things = await furnish(http, people["owner"], people["member"], mark or name.lower())
    app.bz.usage.add(org_id, people["member"].id, "GET", f"/{mark}", 200, 0.01, f"req-{mark}")
    await app.bz.usage.flush()
    return Company(org_id, **people, operator=operator, things=things)


async def furnish(http: httpx.AsyncClient, owner: Person, member: Person, mark: str) -> dict[str, str]:
    """Make one of each thing."""

    async def make(path: str, **body: Any) -> dict[str, Any]:
        answer = await http.post(API + path, json=body or None)
        assert answer.status_code == 201, (path, answer.text)
        made: dict[str, Any] = answer.json() if isinstance(answer.json(), dict) else {"id": answer.json()}
        return made

    team = await make("/teams", name=f"{mark} team")
    await make(f"/teams/{team['id']}/members", user_id=member.id)
    workspace = await make("/workspaces", name=f"{mark} workspace", team_id=team["id"])
    invitation = await make("/invitations", email=f"{mark}@guests.example")
    key = await make("/api-keys", name=f"{mark} key", scopes=["app:read"])
    await make("/rbac/roles", name=f"{mark}-role", permissions=["app:read"])
    grant = await make(
        f"/rbac/members/{member.id}/grants", permission="app:read", reason=f"{mark} has its reasons"
    )
    await make("/secrets", name=f"{mark}_secret", value=f"{mark} value", description=f"{mark} description")
    await make("/domains", domain=f"{mark}.example")
    rule = await make("/ip-allowlist", addresses=["203.0.113.0/24"], enabled=False, note=f"{mark} note")
    schedule = await make("/jobs/schedules", name=f"{mark}-nightly", kind="export.run", every=3600)
    job = await make(f"/jobs/schedules/{schedule['id']}/run")
    audit = await make("/audit", action="invoice.sent", details={"mark": mark})
    message = await make("/email/test")
    saved = await http.put(
        f"{API}/preferences/theme.color", params={"level": "organization"}, json={"value": f"{mark} colour"}
    )
    assert saved.status_code == 200, saved.text
    limit = await http.put(
        f"{API}/limits", json={"scope": "route", "target": f"GET /{mark}", "rate": "10/minute"}
    )
    assert limit.status_code == 200, limit.text
    event = (await http.get(f"{API}/events")).json()["items"][0]
    return {
        "org_id": owner.org_id,
        "user_id": member.id,
        "team_id": team["id"],
        "workspace_id": workspace["id"],
        "invitation_id": invitation["id"],
        "key_id": key["id"],
        "grant_id": grant["id"],
        "session_id": member.session_id,
        "schedule_id": schedule["id"],
        "job_id": job["id"],
        "rule_id": rule["id"],
        "message_id": message["id"],
        "limit_id": limit.json()["id"],
        "domain": f"{mark}.example",
        "key": "theme.color",
        "rbac.name": f"{mark}-role",
        "secrets.name": f"{mark}_secret",
        "audit.event_id": audit["id"],
        "admin.event_id": audit["id"],
        "events.event_id": event["id"],
    }


__all__ = [
    "API",
    "MARK",
    "PUBLIC",
    "Company",
    "Operation",
    "anyone",
    "bodies",
    "company",
    "house",
    "operations",
]
