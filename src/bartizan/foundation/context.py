"""Who is asking, from where, and for which organization. Doors set it; everyone reads it."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass, field, replace
from typing import Literal

from .errors import Forbidden, Unauthenticated

CallerKind = Literal["user", "key", "system"]
TRAIT = r"^[a-z][a-z0-9_]*$"
"""How the traits of people are written, such as ``hipaa_compliant``."""


@dataclass(frozen=True, slots=True)
class Permission:
    """One thing a role can allow, such as ``api_keys:write``."""

    name: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A person, an API key or the system itself, acting for at most one organization."""

    id: str
    kind: CallerKind
    org_id: str | None = None
    team_id: str | None = None
    permissions: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    user_id: str | None = None
    """The person, or the person who owns the key; none for the system and for keys of a team."""
    session_id: str | None = None
    actor_id: str | None = None
    """The person who really acts, while impersonating ``user_id``."""
    operator: bool = False
    """May run the platform itself: every organization's jobs, people and settings."""
    traits: frozenset[str] = frozenset()
    owner_roles: frozenset[str] = frozenset()
    """Roles of the person who owns the key: it gives the key nothing, but what limits them limits it."""
    email: str | None = None


@dataclass(slots=True, kw_only=True)  # frozen ones take three times as long to make, and each request has one
class Origin:
    """Where a request came from: what the audit log says beside who."""

    request_id: str
    ip: str | None = None
    user_agent: str | None = None
    method: str | None = None
    path: str | None = None
    recorded: list[str] = field(default_factory=list[str])
    """Names of the audit actions written for this request, so that it is never written twice."""


class NobodyAsks(Unauthenticated):
    """Nobody is signed in."""


class NoOrganization(Forbidden):
    """No organization is chosen: switch to one, or send X-Org-Id."""


class NoTeam(Forbidden):
    """No team is chosen: send X-Team-Id, or act for one by `current.in_team`."""


class PermissionMissing(Forbidden):
    """The caller's roles do not include the permission that this needs."""


class InPersonOnly(Forbidden):
    """Only the person themselves does this: no API key of theirs, and nobody who acts as them."""


class OperatorsOnly(Forbidden):
    """Only an operator of the platform may do this."""


class Current:
    """The caller of the running task: ``from bartizan import current``."""

    _caller: ContextVar[Caller | None] = ContextVar("bartizan_caller", default=None)
    _origin: ContextVar[Origin | None] = ContextVar("bartizan_origin", default=None)

    @property
    def caller(self) -> Caller:
        """Who is asking; refuses when nobody is."""
        if caller := self._caller.get():
            return caller
        raise NobodyAsks

    @property
    def anyone(self) -> Caller | None:
        """Who is asking, or none."""
        return self._caller.get()

    @property
    def origin(self) -> Origin | None:
        """Where the running request came from; none outside of one."""
        return self._origin.get()

    @property
    def org_id(self) -> str:
        """The organization the caller acts for; refuses when none is chosen."""
        if org_id := self.caller.org_id:
            return org_id
        raise NoOrganization

    @property
    def team_id(self) -> str:
        """The team the caller acts for; refuses when none is chosen."""
        if team_id := self.caller.team_id:
            return team_id
        raise NoTeam

    @property
    def user_id(self) -> str:
        """The person asking; refuses keys without an owner and the system."""
        if user_id := self.caller.user_id:
            return user_id
        message = "Only a person can do this, not a key and not the system."
        raise Forbidden(message)

    def allows(self, permission: Permission | str) -> bool:
        """Tell whether the caller holds the permission in the organization it acts for."""
        caller = self._caller.get()
        if caller is None:
            return False
        name = permission if isinstance(permission, str) else permission.name
        return caller.kind == "system" or name in caller.permissions

    def require(self, permission: Permission | str) -> None:
        """Refuse a caller without the permission, naming it."""
        caller = self.caller
        name = permission if isinstance(permission, str) else permission.name
        if caller.kind != "system" and name not in caller.permissions:
            message = f"This needs {name}."
            raise PermissionMissing(message, permission=name)

    @property
    def in_person(self) -> str | None:
        """The person asking, if it is them and neither a key of theirs nor somebody who acts as them."""
        caller = self.caller
        return caller.user_id if caller.kind == "user" and caller.actor_id is None else None

    def require_person(self) -> str:
        """Give the person asking; refuse keys, the system, and whoever acts as somebody else."""
        if user_id := self.in_person:
            return user_id
        raise InPersonOnly

    def require_operator(self) -> None:
        """Refuse everyone but operators of the platform and the system."""
        caller = self.caller
        if not (caller.operator or caller.kind == "system"):
            raise OperatorsOnly

    def enter(self, origin: Origin) -> Token[Origin | None]:
        """Begin a request from ``origin``: what :meth:`receiving` does, for the gate; ``leave`` ends it."""
        return self._origin.set(origin)

    def enter_as(self, caller: Caller | None) -> Token[Caller | None]:
        """Begin to act for ``caller``: what :meth:`acting_as` does, for the gate; ``leave_as`` ends it."""
        return self._caller.set(caller)

    def leave(self, token: Token[Origin | None]) -> None:
        """End what :meth:`enter` began."""
        self._origin.reset(token)

    def leave_as(self, token: Token[Caller | None]) -> None:
        """End what :meth:`enter_as` began."""
        self._caller.reset(token)

    @contextmanager
    def acting_as(self, caller: Caller | None) -> Generator[None]:
        """Run the block for ``caller``."""
        token = self._caller.set(caller)
        try:
            yield
        finally:
            self._caller.reset(token)

    @contextmanager
    def receiving(self, origin: Origin | None) -> Generator[None]:
        """Run the block for a request from ``origin``."""
        token = self._origin.set(origin)
        try:
            yield
        finally:
            self._origin.reset(token)

    @contextmanager
    def as_system(self, org_id: str | None = None, name: str = "system") -> Generator[None]:
        """Run the block for the system itself, in one organization or (none) across all.

        ``name`` says which part acts, such as ``scheduler``; the audit log shows it.
        """
        with self.acting_as(Caller(id=name, kind="system", org_id=org_id)):
            yield

    @contextmanager
    def in_organization(self, org_id: str | None) -> Generator[None]:
        """Run the block for the same caller, acting for another organization.

        This grants nothing: the caller keeps only the permissions it already carries. Doors check
        membership first. A team is left behind with its organization.
        """
        caller = self.caller
        team_id = caller.team_id if org_id == caller.org_id else None
        with self.acting_as(replace(caller, org_id=org_id, team_id=team_id)):
            yield

    @contextmanager
    def in_team(self, team_id: str | None) -> Generator[None]:
        """Run the block for the same caller, acting for another team of the organization.

        Like :meth:`in_organization`, it grants nothing and checks no membership.
        """
        with self.acting_as(replace(self.caller, team_id=team_id)):
            yield


current = Current()
