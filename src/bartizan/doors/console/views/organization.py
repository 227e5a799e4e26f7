"""The organization one acts for: members, invitations, teams, and what happened."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from starlette.responses import Response

from bartizan.access.orgs import MemberChanges, NewInvitation
from bartizan.backbone.audit import AuditQuery
from bartizan.doors.console.forms import Field, Form
from bartizan.doors.console.visit import Visit
from bartizan.foundation.context import current
from bartizan.foundation.errors import Refusal

from .page import View, attempt

_ROLES = (
    ("viewer", "Viewer"),
    ("member", "Member"),
    ("operator", "Operator"),
    ("developer", "Developer"),
    ("admin", "Admin"),
    ("owner", "Owner"),
)
_INVITE = (
    Field(
        name="email",
        label="E-mail address",
        kind="email",
        autocomplete="off",
        longest=320,
        missing="Enter the address to invite",
    ),
    Field(name="role", label="Role", options=_ROLES[:-1], longest=40),
)
_TOLD = {
    "invited": "The invitation is on its way.",
    "withdrawn": "The invitation is withdrawn. Its link no longer works.",
    "role": "The role is changed.",
    "removed": "They no longer belong to the organization.",
}
_UNPROCESSABLE = 422
_MOST = 100
_LATEST = 50


async def show(visit: Visit, which: str = "") -> Response:
    """Show the organization; ``which`` names the form that failed."""
    house = visit.house
    organization = await house.orgs.get(current.org_id)
    form = visit.form if which else Form()
    sees = current.allows("orgs:read")
    members = await house.orgs.members.list(limit=_MOST) if sees else None
    may_invite = current.allows("orgs:invite")
    invitations = (await house.orgs.invitations.list(limit=_MOST)).items if may_invite else ()
    teams = (await house.orgs.teams.list(limit=_MOST)).items if sees else None
    return await visit.page(
        "organization.html",
        _UNPROCESSABLE if form.failed else 200,
        here="organization",
        told=_TOLD.get(visit.request.query_params.get("told", ""), ""),
        organization=organization,
        which=which,
        form=form,
        blank=Form({"role": "member"}),
        members=members.items if members else None,
        more_members=bool(members and members.next),
        may_manage=current.allows("orgs:members"),
        may_invite=may_invite,
        invitations=[one for one in invitations if one.status == "pending"],
        invite_fields=_INVITE,
        roles=_ROLES,
        teams=teams,
        may_audit=current.allows("audit:read"),
    )


async def organization(visit: Visit) -> Response:
    """Show the organization."""
    return await show(visit)


async def audit(visit: Visit) -> Response:
    """Show what happened in the organization; that somebody looked is recorded too."""
    page = await visit.house.audit.search(AuditQuery(limit=_LATEST, cursor=visit.asked("cursor") or None))
    return await visit.page(
        "audit.html",
        here="organization",
        organization=await visit.house.orgs.get(current.org_id),
        events=page.items,
        older=page.next,
    )


async def invite(visit: Visit) -> Response:
    """Invite somebody by e-mail."""
    if visit.form.check(_INVITE):
        try:
            new = NewInvitation(email=visit.form["email"].strip(), role=visit.form["role"])
            await visit.house.orgs.invitations.create(new)
        except (Refusal, ValidationError) as error:
            attempt(visit.form, _INVITE, error)
    if visit.form.failed:
        return await show(visit, "invite")
    return visit.go(visit.url("/organization", told="invited"))


async def withdraw(visit: Visit) -> Response:
    """Withdraw an invitation."""
    return await _change(visit, visit.house.orgs.invitations.delete(visit.form["invitation_id"]), "withdrawn")


async def change_role(visit: Visit) -> Response:
    """Give a member another role."""
    changes = MemberChanges(role=visit.form["role"][:40])
    return await _change(visit, visit.house.orgs.members.update(visit.form["user_id"], changes), "role")


async def remove(visit: Visit) -> Response:
    """Remove a member."""
    return await _change(visit, visit.house.orgs.members.delete(visit.form["user_id"]), "removed")


async def _change(visit: Visit, work: Awaitable[Any], told: str) -> Response:
    nothing: Sequence[Field] = ()
    try:
        await work
    except Refusal as error:
        attempt(visit.form, nothing, error)
        return await show(visit, "change")
    return visit.go(visit.url("/organization", told=told))


VIEWS: Mapping[str, View] = {
    "/organization": View(organization, signed_in=True),
    "/organization/audit": View(audit, signed_in=True),
    "/organization/invite": View(invite, get=False, post=True, signed_in=True),
    "/organization/withdraw": View(withdraw, get=False, post=True, signed_in=True),
    "/organization/role": View(change_role, get=False, post=True, signed_in=True),
    "/organization/remove": View(remove, get=False, post=True, signed_in=True),
}
