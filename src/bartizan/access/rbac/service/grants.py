"""What single people may do beyond their roles, and what they may not do in spite of them."""

from collections.abc import Sequence

from bartizan.access.rbac.errors import (
    OwnersHoldEverything,
    TooManyGrants,
    UnknownGrant,
    UnknownSubject,
)
from bartizan.access.rbac.events import PermissionDenied, PermissionGranted, PermissionReset
from bartizan.access.rbac.settings import RbacSettings
from bartizan.access.rbac.store import RbacStore
from bartizan.access.rbac.tables import WHOLE, GrantRow
from bartizan.access.rbac.types import Grant, NewGrant
from bartizan.backbone.events import Events
from bartizan.foundation import ids
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import current
from bartizan.foundation.database import Database

from .authority import Authority
from .catalogue import Catalogue
from .ledger import Ledger
from .roles import READ, WRITE


class Grants:
    """Grants and denials of the caller's organization: ``bz.rbac.grants``."""

    def __init__(
        self,
        database: Database,
        events: Events,
        *,
        catalogue: Catalogue,
        ledger: Ledger,
        authority: Authority,
        clock: Clock,
        settings: RbacSettings,
    ) -> None:
        self._database = database
        self._events = events
        self._catalogue = catalogue
        self._ledger = ledger
        self._authority = authority
        self._clock = clock
        self._settings = settings

    async def list(self, user_id: str) -> Sequence[Grant]:
        """List what was granted to one person and what was withheld, the oldest first."""
        current.require(READ)
        async with self._database.reading() as session:
            store = RbacStore(self._database, session, current.org_id)
            rows = await store.grants(user_id)
            if not rows and not await store.assignments(user_id):
                raise UnknownSubject(user_id=user_id)
        return [Grant.model_validate(row) for row in rows]

    async def create(self, user_id: str, new: NewGrant) -> Grant:
        """Grant one permission to a member, or withhold it; it replaces what was said about it before.

        A denial wins over every role, except that nothing can be withheld from an owner. You must
        hold the permission yourself, and everything that the person holds.
        """
        current.require(WRITE)
        name = self._catalogue.parse(new.permission)
        await self._authority.require([name])
        async with self._database.transaction() as session:
            store = RbacStore(self._database, session, current.org_id)
            roles = {row.role for row in await store.assignments(user_id) if row.team_id == WHOLE}
            if not roles:
                raise UnknownSubject(user_id=user_id)
            await self._authority.require_over(user_id)
            if "owner" in roles and not new.allowed:
                raise OwnersHoldEverything(user_id=user_id)
            before = await store.grants(user_id)
            for row in before:
                if row.permission == name:
                    await store.remove(row)
            if len(before) >= self._settings.max_grants:
                raise TooManyGrants(limit=self._settings.max_grants)
            row = GrantRow(
                id=ids.new("grt"),
                org_id=current.org_id,
                user_id=user_id,
                permission=name,
                allowed=new.allowed,
                reason=new.reason,
                granted_by=current.caller.user_id,
                created_at=self._clock.now(),
            )
            await store.add(row)
            fact = PermissionGranted if new.allowed else PermissionDenied
            await self._events.announce(fact(user_id=user_id, grant_id=row.id, permission=name))
            self._ledger.changed(current.org_id, user_id)
        return Grant.model_validate(row)

    async def delete(self, grant_id: str) -> None:
        """Withdraw a grant or a denial, so that the roles decide again. You must hold the permission."""
        current.require(WRITE)
        async with self._database.transaction() as session:
            store = RbacStore(self._database, session, current.org_id)
            row = await store.grant(grant_id)
            if row is None:
                raise UnknownGrant(grant_id=grant_id[:30])
            await self._authority.require({row.permission} & self._catalogue.names())
            await self._authority.require_over(row.user_id)
            await store.remove(row)
            await self._events.announce(
                PermissionReset(user_id=row.user_id, grant_id=row.id, permission=row.permission)
            )
            self._ledger.changed(current.org_id, row.user_id)
