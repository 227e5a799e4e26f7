"""Who owns rows: an organization or a team, and in whose name code runs."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import ClassVar

from bartizan.foundation.context import NobodyAsks, NoOrganization, NoTeam, current
from bartizan.foundation.database.errors import OutsideOrganization
from bartizan.foundation.database.tenancy.scope import EVERY

from .types import By


@dataclass(frozen=True, slots=True)
class Owner:
    """One kind of owner."""

    by: By
    lifted: ClassVar[ContextVar[bool]] = ContextVar("bartizan_across_tenants", default=False)

    """Set inside :func:`across_tenants`; one for every kind of owner."""

    @property
    def column(self) -> str:
        """The column that holds the owner's id."""
        return f"bz_{self.by}_id"

    @property
    def setting(self) -> str:
        """Where PostgreSQL is told the owner."""
        return f"bartizan.{self.by}_id"

    def now(self) -> str | None:
        """Give the owner in whose name code runs, ``"*"`` for all, or none."""
        if self.lifted.get():
            return EVERY
        caller = current.anyone
        if caller is None:
            return None
        owner = caller.org_id if self.by == "org" else caller.team_id
        return owner or (EVERY if caller.kind == "system" and not caller.org_id else None)

    def stamp(self) -> str | None:
        """Give the owner of a new row, if there is one: the guard refuses rows without."""
        owner = self.now()
        return None if owner == EVERY else owner

    def unowned(self) -> Exception:
        """Say that a row would belong to nobody."""
        message = f"Whose row is this? Insert it inside `with current.in_{_NAMES[self.by]}(…):`."
        return OutsideOrganization(message)

    def nobody(self) -> Exception:
        """Say why there is no owner."""
        if current.anyone is None:
            message = (
                "Nobody is signed in here, so no tenant's rows can be reached. A job acts for a tenant by"
                " `with current.as_system(org_id):`, or for all by `with bz.across_tenants():`."
            )
            return NobodyAsks(message)
        return NoOrganization() if self.by == "org" else NoTeam()


_NAMES = {"org": "organization", "team": "team"}


@contextmanager
def across_tenants() -> Generator[None]:
    """Lift the walls around adopted models for the block."""
    token = Owner.lifted.set(True)
    try:
        yield
    finally:
        Owner.lifted.reset(token)
