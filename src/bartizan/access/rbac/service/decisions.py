"""Why somebody may do something, and who else may: the derivation in words."""

from collections.abc import Sequence

from bartizan.access.rbac.errors import UnknownSubject
from bartizan.access.rbac.store import RbacStore
from bartizan.access.rbac.tables import WHOLE, AssignmentRow, GrantRow
from bartizan.access.rbac.types import Able, Explanation, PermissionName, Reason, TeamId, UserId
from bartizan.foundation.context import Permission, current
from bartizan.foundation.database import Database
from bartizan.foundation.pages import Cursor, Limit, Page, cut, decode

from .catalogue import Catalogue
from .ledger import Ledger
from .roles import READ

EXPLAIN = Permission("rbac:explain", "See why somebody may or may not do something")


class Decisions:
    """Explains what the ledger computes."""

    def __init__(self, database: Database, *, catalogue: Catalogue, ledger: Ledger) -> None:
        self._database = database
        self._catalogue = catalogue
        self._ledger = ledger

    async def explain(
        self, user_id: UserId, permission: PermissionName, team_id: TeamId | None = None
    ) -> Explanation:
        """Tell why a person may or may not do something, step by step.

        Everyone may ask about themselves. The first step with ``decides`` gives the answer.
        """
        if user_id != current.caller.user_id:
            current.require(EXPLAIN)
        name = self._catalogue.parse(permission)
        org_id = current.org_id
        async with self._database.reading() as session:
            store = RbacStore(self._database, session, org_id)
            rows = await store.assignments(user_id)
            grants = [grant for grant in await store.grants(user_id) if grant.permission == name]
        if not any(row.team_id == WHOLE for row in rows):
            raise UnknownSubject(user_id=user_id)
        effective = await self._ledger.effective(user_id, org_id, team_id)
        allowed = name in effective.permissions
        because = await self._steps(name, rows, grants, team_id, org_id)
        would = [] if allowed else await self._would_allow(name, org_id)
        verdict = "may" if allowed else "may not"
        first = next((step.text for step in because if step.decides), "nothing gives it")
        return Explanation(
            user_id=user_id,
            org_id=org_id,
            team_id=team_id,
            permission=name,
            allowed=allowed,
            summary=f"{user_id} {verdict} {name}: {first}.",
            because=because,
            would_allow=would,
        )

    async def who_can(
        self,
        permission: PermissionName,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[Able]:
        """List the people of this organization who may do something, by id, and what it comes from.

        A role in a team is named with the team: it counts inside that team.
        """
        current.require(READ)
        name = self._catalogue.parse(permission)
        org_id = current.org_id
        conferring = {role for role, held in (await self._ledger.known(org_id)).items() if name in held}
        in_team = {
            role for role, held in (await self._ledger.known(org_id, team=True)).items() if name in held
        }
        after = decode(cursor)[0] if cursor else ""
        async with self._database.reading() as session:
            store = RbacStore(self._database, session, org_id)
            found = await store.able(conferring, in_team, name, after, limit + 1)
        via: dict[str, list[str]] = {}
        for user_id, team_id, role in found:
            reasons = via.setdefault(user_id, [])
            if role in (in_team if team_id else conferring):
                reasons.append(f"{role} of {team_id}" if team_id else role)
        people = [
            Able(user_id=user, via=sorted(reasons) or ["grant"]) for user, reasons in sorted(via.items())
        ]
        page, following = cut(people, limit, lambda able: [able.user_id])
        return Page(items=page, next=following)

    async def _steps(
        self,
        name: str,
        rows: Sequence[AssignmentRow],
        grants: Sequence[GrantRow],
        team_id: str | None,
        org_id: str,
    ) -> list[Reason]:
        whole = [row for row in rows if row.team_id == WHOLE]
        if not any(row.active for row in whole):
            text = "the person is suspended, so no role counts"
            return [Reason(kind="suspended", text=text, decides=True)]
        if any(row.role == "owner" for row in whole):
            return [Reason(kind="owner", text="an owner holds everything", role="owner", decides=True)]
        steps = [_exception(grant) for grant in grants]
        denied = any(not grant.allowed for grant in grants)
        for row in rows:
            if row.team_id in (WHOLE, team_id):
                holds = await self._ledger.permissions_of(row.role, org_id, team=bool(row.team_id)) or ()
                steps.append(_role_step(row, name, holds=name in holds, denied=denied))
            elif name in (await self._ledger.permissions_of(row.role, org_id, team=True) or ()):
                text = f"as {row.role} of the team {row.team_id} it is allowed, but only inside that team"
                steps.append(
                    Reason(kind="team", text=text, role=row.role, team_id=row.team_id, decides=False)
                )
        if not any(step.decides for step in steps):
            steps.append(Reason(kind="none", text="no role and no grant gives it", decides=True))
        return sorted(steps, key=lambda step: not step.decides)

    async def _would_allow(self, name: str, org_id: str) -> list[str]:
        return [role for role, held in (await self._ledger.known(org_id)).items() if name in held]


def _exception(grant: GrantRow) -> Reason:
    done = "granted to the person" if grant.allowed else "withheld from the person, and a denial wins"
    by = f" by {grant.granted_by}" if grant.granted_by else ""
    why = f" ({grant.reason})" if grant.reason else ""
    return Reason(
        kind="grant" if grant.allowed else "denial",
        text=f"it was {done}{by}{why}",
        grant_id=grant.id,
        decides=True,
    )


def _role_step(row: AssignmentRow, name: str, *, holds: bool, denied: bool) -> Reason:
    where = f" of the team {row.team_id}" if row.team_id else ""
    says = "includes" if holds else "does not include"
    return Reason(
        kind="team" if row.team_id else "role",
        text=f"the role {row.role}{where} {says} {name}",
        role=row.role,
        team_id=row.team_id or None,
        decides=holds and not denied,
    )
