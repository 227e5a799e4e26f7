"""Roles and permissions as one thing: ``bz.rbac``."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from bartizan.access.rbac.settings import RbacSettings
from bartizan.access.rbac.types import (
    Able,
    Access,
    Effective,
    Explanation,
    PermissionName,
    RoleChoice,
    TeamId,
    UserId,
)
from bartizan.backbone.events import Events
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import Caller, Permission
from bartizan.foundation.database import Database
from bartizan.foundation.pages import Cursor, Limit, Page

from .assignments import Assignments
from .authority import Authority
from .catalogue import Catalogue, role_name
from .decisions import EXPLAIN, Decisions
from .grants import Grants
from .guards import require_permission
from .ledger import Ledger
from .roles import READ, WRITE, Roles
from .rules import Rule, Rules, Statement

R = TypeVar("R")
S = TypeVar("S", bound=Statement)

PERMISSIONS = (
    READ,
    WRITE,
    EXPLAIN,
    Permission("app:read", "Use the application to look at things"),
    Permission("app:write", "Use the application to change things"),
)


class Rbac:
    """Who may do what, and why: ``bz.rbac``.

    People have roles in an organization and in its teams; a role is a set of permissions; single
    permissions can be granted to a person or withheld. A denial wins over roles and grants, and an
    owner holds everything.
    """

    def __init__(
        self,
        database: Database,
        events: Events,
        *,
        clock: Clock | None = None,
        settings: RbacSettings | None = None,
    ) -> None:
        clock = clock or Clock()
        settings = settings or RbacSettings()
        self._catalogue = Catalogue()
        self._ledger = Ledger(database, self._catalogue, clock=clock, settings=settings)
        self._authority = Authority(self._ledger)
        self._assignments = Assignments(
            database, events, ledger=self._ledger, authority=self._authority, clock=clock
        )
        self._decisions = Decisions(database, catalogue=self._catalogue, ledger=self._ledger)
        self._rules = Rules(self._catalogue)
        self.roles = Roles(
            database,
            events,
            catalogue=self._catalogue,
            ledger=self._ledger,
            authority=self._authority,
            clock=clock,
            settings=settings,
        )
        self.grants = Grants(
            database,
            events,
            catalogue=self._catalogue,
            ledger=self._ledger,
            authority=self._authority,
            clock=clock,
            settings=settings,
        )
        self.declare(*PERMISSIONS)

    # The catalogue

    def declare(self, *permissions: Permission, roles: Iterable[str] = ()) -> None:
        """Make permissions known. Owners and admins hold them; name the other built-in ``roles`` that do."""
        self._catalogue.declare(permissions, roles)
        self._ledger.forget()

    def parse(self, name: str) -> str:
        """Give the declared name of a permission for any spelling: ``invoices.read`` is ``invoice:read``."""
        return self._catalogue.parse(name)

    def knows(self, name: str) -> bool:
        """Tell whether a permission is declared, in some spelling."""
        return self._catalogue.knows(name)

    def names(self) -> frozenset[str]:
        """Give the names of all permissions."""
        return self._catalogue.names()

    def role_name(self, name: str) -> str:
        """Give our name of a role that another system calls otherwise: ``superuser`` is ``owner``."""
        return role_name(name)

    def guard(self, permission: str, meaning: str = "", *, roles: Iterable[str] = ()) -> require_permission:
        """Declare a permission of the host unless it is known, and make the guard that asks for it."""
        if not self._catalogue.knows(permission):
            self.declare(Permission(permission, meaning or permission), roles=roles)
        return require_permission(self.parse(permission))

    # Decisions

    async def effective(self, user_id: str, org_id: str, team_id: str | None = None) -> Effective:
        """Give what a person may do in an organization or team; nothing for strangers and the suspended.

        For rooms and doors, so it asks for no permission. Answers are at most five seconds old, and
        a change made on this replica counts at once.
        """
        return await self._ledger.effective(user_id, org_id, team_id)

    async def permissions_of(self, role: str, org_id: str, *, team: bool = False) -> frozenset[str] | None:
        """Give what a role of an organization or of its teams holds; none when there is no such role."""
        return await self._ledger.permissions_of(role_name(role), org_id, team=team)

    async def explain(
        self, user_id: UserId, permission: PermissionName, team_id: TeamId | None = None
    ) -> Explanation:
        """Tell why a person may or may not do something, step by step.

        Everyone may ask about themselves. The steps with ``decides`` give the answer.
        """
        return await self._decisions.explain(user_id, permission, team_id)

    async def who_can(
        self, permission: PermissionName, limit: Limit = 50, cursor: Cursor = None
    ) -> Page[Able]:
        """List the people of this organization who may do something, by id, and what it comes from.

        A role in a team is named with the team: it counts inside that team.
        """
        return await self._decisions.who_can(permission, limit, cursor)

    # Who has which role

    async def access(self, user_id: UserId) -> Access:
        """Show what one person has in this organization: roles, grants, and what comes of them."""
        return await self._assignments.access(user_id)

    async def assign(self, user_id: UserId, choice: RoleChoice) -> Access:
        """Give a member exactly these roles in the organization.

        You must hold what you give and what you take, and an owner remains in any case.
        """
        return await self._assignments.assign(user_id, choice)

    async def place(
        self, user_id: str, roles: Iterable[str], *, org_id: str, team_id: str | None = None
    ) -> None:
        """Give somebody exactly these roles, in the organization or in a team; none takes all away.

        For rooms that have checked who asks: it asks for no permission, but it keeps the last owner.
        """
        await self._assignments.place(user_id, roles, org_id=org_id, team_id=team_id)

    async def roles_of(
        self, user_ids: Collection[str], org_id: str, team_id: str | None = None
    ) -> Mapping[str, Sequence[str]]:
        """Give the roles of many people at once; for rooms, so it asks for no permission."""
        return await self._assignments.roles_of(user_ids, org_id, team_id)

    async def require_conferrable(self, role: str, team_id: str | None = None) -> str:
        """Refuse a caller who may not give this role in its organization; gives our name of the role."""
        name = role_name(role)
        await self._authority.require_role(name, team_id=team_id)
        return name

    async def require_over(self, user_id: str) -> None:
        """Refuse a caller who holds less than this person in the organization."""
        await self._authority.require_over(user_id)

    async def suspend(self, user_id: str, *, org_id: str, keep_an_owner: bool = True) -> None:
        """Make a person's roles give nothing until they are resumed; the last owner's only if told to."""
        await self._assignments.suspend(user_id, org_id=org_id, keep_an_owner=keep_an_owner)

    async def resume(self, user_id: str, *, org_id: str) -> None:
        """Let a person's roles count again."""
        await self._assignments.resume(user_id, org_id=org_id)

    def look_again(self) -> None:
        """Remember nobody's permissions: another process may have changed any."""
        self._ledger.forget()

    async def forget(self, user_id: str, *, org_id: str) -> None:
        """Take everything away from a person who leaves an organization; refuses the last owner."""
        await self._assignments.forget(user_id, org_id=org_id)

    async def forget_team(self, team_id: str, *, org_id: str) -> None:
        """Take away every role in a team that is going."""
        await self._assignments.forget_team(team_id, org_id=org_id)

    def changed(self, org_id: str) -> None:
        """Forget what is remembered about an organization that is going, now and after the commit."""
        self._ledger.changed(org_id)

    # Rules about single resources

    def rule(self, permission: str, rule: Rule | Callable[[Caller, Any], bool]) -> None:
        """Bind a permission to a rule over the caller and the resource: the owner, or an attribute."""
        self._rules.add(permission, rule)

    def allow(self, permission: str, resource: object) -> bool:
        """Tell whether the caller may do this to this resource."""
        return self._rules.allow(permission, resource)

    def require(self, permission: str, resource: object) -> None:
        """Refuse a caller who may not do this to this resource, naming the permission."""
        self._rules.require(permission, resource)

    def visible(self, permission: str, resources: Iterable[R]) -> list[R]:
        """Keep the resources to which the caller may do this."""
        return self._rules.visible(permission, resources)

    def narrow(self, permission: str, statement: S) -> S:
        """Narrow a query to the rows to which the caller may do this; refuses without the permission."""
        return self._rules.narrow(permission, statement)
