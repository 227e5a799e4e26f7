"""Who may give what: nobody can hand on, take or withhold what they do not hold themselves."""

from collections.abc import Collection

from bartizan.access.rbac.errors import CannotConfer, UnknownRole
from bartizan.foundation.context import current

from .ledger import Ledger


class Authority:
    """Stops people from making themselves, or others, mightier than they are."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def require(self, permissions: Collection[str], *, team_id: str | None = None) -> None:
        """Refuse a caller who does not hold all of ``permissions``."""
        caller = current.caller
        if caller.kind == "system":
            return
        missing = set(permissions) - caller.permissions
        if missing and team_id is not None and caller.kind == "user":
            missing -= (await self._ledger.effective(current.user_id, current.org_id, team_id)).permissions
        if missing:
            message = f"This would hand on what you do not hold yourself: {', '.join(sorted(missing)[:5])}."
            raise CannotConfer(message, missing=sorted(missing)[:20])

    async def require_role(self, role: str, *, team_id: str | None = None) -> None:
        """Refuse a caller who may not give this role, or take it; and a role that does not exist."""
        permissions = await self._ledger.permissions_of(role, current.org_id, team=team_id is not None)
        if permissions is None:
            raise UnknownRole(role=role[:40])
        await self.require(permissions, team_id=team_id)
        caller = current.caller
        if role == "owner" and team_id is None and caller.kind != "system" and "owner" not in caller.roles:
            message = "Only an owner can make or unmake an owner."
            raise CannotConfer(message, missing=["owner"])

    async def require_over(self, user_id: str) -> None:
        """Refuse a caller who holds less than the person it is about to change."""
        subject = await self._ledger.effective(user_id, current.org_id)
        await self.require(subject.permissions)
        if "owner" in subject.roles:
            await self.require_role("owner")
