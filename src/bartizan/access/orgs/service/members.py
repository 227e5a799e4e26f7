"""Who belongs to an organization."""

from collections.abc import Sequence

from bartizan.access.orgs.errors import AlreadyAMember, UnknownMember, UnknownPerson
from bartizan.access.orgs.events import MemberAdded, MemberRemoved, MemberResumed, MemberSuspended
from bartizan.access.orgs.store import MemberStore, OrganizationStore
from bartizan.access.orgs.tables import MembershipRow
from bartizan.access.orgs.types import Member, MemberChanges, NewMember, People, Source, Status
from bartizan.access.rbac import Rbac
from bartizan.backbone.events import Envelope, Events
from bartizan.foundation import ids
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import Permission, current
from bartizan.foundation.database import Database
from bartizan.foundation.pages import Cursor, Limit, Page, cut, decode

from .plans import Plans

READ = Permission("orgs:read", "See the organization, its members, teams and workspaces")
MEMBERS = Permission("orgs:members", "Add, change, suspend and remove members")


class Members:
    """Members of the caller's organization: ``bz.orgs.members``."""

    def __init__(
        self,
        database: Database,
        events: Events,
        *,
        rbac: Rbac,
        people: People,
        plans: Plans,
        clock: Clock,
    ) -> None:
        self._database = database
        self._events = events
        self._rbac = rbac
        self._people = people
        self._plans = plans
        self._clock = clock
        events.within("user.deactivated", self._deactivated)
        events.within("user.reactivated", self._reactivated)
        events.within("user.deleted", self._deleted)

    async def list(
        self, limit: Limit = 50, cursor: Cursor = None, status: Status | None = None
    ) -> Page[Member]:
        """List the members, those who joined last first."""
        current.require(READ)
        after = decode(cursor)[0] if cursor else None
        async with self._database.reading() as session:
            store = MemberStore(self._database, session, current.org_id)
            rows, following = cut(await store.members(after, limit + 1, status), limit, lambda row: [row.id])
            return Page(items=await self._shown(rows), next=following)

    async def get(self, user_id: str) -> Member:
        """Show one member."""
        current.require(READ)
        async with self._database.reading() as session:
            store = MemberStore(self._database, session, current.org_id)
            return (await self._shown([await self._known(store, user_id)]))[0]

    async def create(self, new: NewMember) -> Member:
        """Make somebody who has an account a member, at once. To ask them first, send an invitation.

        You must hold everything that the role gives. Refused with 402 when the plan's seats are taken.
        """
        current.require(MEMBERS)
        async with self._database.transaction():
            role = await self._rbac.require_conferrable(new.role)
            person = (await self._people.people([new.user_id])).get(new.user_id)
            if person is None or not person.is_active:
                raise UnknownPerson(user_id=new.user_id)
            await self.join(new.user_id, role, org_id=current.org_id, source="added")
            return await self.get(new.user_id)

    async def update(self, user_id: str, changes: MemberChanges) -> Member:
        """Give a member another role, or suspend or resume them.

        You must hold everything they have and shall have; the last active owner stays what they are.
        """
        current.require(MEMBERS)
        org_id = current.org_id
        async with self._database.transaction() as session:
            row = await self._known(MemberStore(self._database, session, org_id), user_id)
            await self._require_over(user_id)
            if changes.role is not None:
                role = await self._rbac.require_conferrable(changes.role)
                await self._rbac.place(user_id, [role], org_id=org_id)
            if changes.status is not None and changes.status != row.status:
                await (self.resume if changes.status == "active" else self.suspend)(user_id, org_id=org_id)
            return await self.get(user_id)

    async def delete(self, user_id: str) -> None:
        """Remove a member, with their roles, teams and keys here; refuses the last active owner."""
        if user_id != current.in_person:
            current.require(MEMBERS)
        org_id = current.org_id
        async with self._database.transaction() as session:
            await self._known(MemberStore(self._database, session, org_id), user_id)
            if user_id != current.in_person:
                await self._require_over(user_id)
            await self.part(user_id, org_id=org_id)

    async def leave(self) -> None:
        """Leave the organization; the last active owner cannot."""
        await self.delete(current.require_person())

    # For rooms: who asks was checked by the caller of these.

    async def join(self, user_id: str, role: str, *, org_id: str, source: Source) -> str:
        """Make somebody a member and give the id of the membership.

        For rooms, which have checked who asks. Refused when the plan's seats are taken.
        """
        async with self._database.transaction() as session:
            store = MemberStore(self._database, session, org_id)
            await self._plans.take_own("seats", org_id=org_id)
            if await store.member(user_id) is not None:
                raise AlreadyAMember(user_id=user_id)
            row = MembershipRow(
                id=ids.new("mem"),
                org_id=org_id,
                user_id=user_id,
                status="active",
                source=source,
                created_at=self._clock.now(),
            )
            await store.add(row)
            await self._rbac.place(user_id, [role], org_id=org_id)
            fact = MemberAdded(
                user_id=user_id, membership_id=row.id, roles=(self._rbac.role_name(role),), source=source
            )
            await self._events.announce(fact, org_id=org_id)
        return row.id

    async def part(self, user_id: str, *, org_id: str) -> None:
        """End a membership. For rooms, which have checked who asks; refuses the last active owner."""
        async with self._database.transaction() as session:
            store = MemberStore(self._database, session, org_id)
            row = await self._known(store, user_id)
            await self._rbac.forget(user_id, org_id=org_id)
            await store.remove(row)
            fact = MemberRemoved(user_id=user_id, membership_id=row.id)
            await self._events.announce(fact, org_id=org_id)

    async def suspend(self, user_id: str, *, org_id: str) -> None:
        """Shut a member out. For rooms, which have checked who asks; refuses the last active owner."""
        async with self._database.transaction() as session:
            store = MemberStore(self._database, session, org_id)
            row = await self._known(store, user_id)
            await self._rbac.suspend(user_id, org_id=org_id)
            row.status = "suspended"
            await store.save()
            fact = MemberSuspended(user_id=user_id, membership_id=row.id)
            await self._events.announce(fact, org_id=org_id)

    async def resume(self, user_id: str, *, org_id: str) -> None:
        """Let a member in again. For rooms, which have checked who asks; it takes a seat."""
        async with self._database.transaction() as session:
            store = MemberStore(self._database, session, org_id)
            row = await self._known(store, user_id)
            if row.status == "active":
                return
            await self._plans.take_own("seats", org_id=org_id)
            row.status = "active"
            await store.save()
            await self._rbac.resume(user_id, org_id=org_id)
            fact = MemberResumed(user_id=user_id, membership_id=row.id)
            await self._events.announce(fact, org_id=org_id)

    async def _require_over(self, user_id: str) -> None:
        """Refuse a caller who holds less than the member, whether or not they are suspended."""
        for role in (await self._rbac.roles_of([user_id], current.org_id)).get(user_id, ()):
            await self._rbac.require_conferrable(role)
        await self._rbac.require_over(user_id)

    async def _known(self, store: MemberStore, user_id: str) -> MembershipRow:
        row = await store.member(user_id)
        if row is None:
            raise UnknownMember(user_id=user_id[:30])
        return row

    async def _shown(self, rows: Sequence[MembershipRow]) -> Sequence[Member]:
        user_ids = [row.user_id for row in rows]
        people = await self._people.people(user_ids)
        roles = await self._rbac.roles_of(user_ids, current.org_id)
        return [
            Member(
                id=row.id,
                user_id=row.user_id,
                email=person.email if (person := people.get(row.user_id)) else None,
                full_name=person.full_name if person else None,
                roles=roles.get(row.user_id, ()),
                status="active" if row.status == "active" else "suspended",
                source=row.source,  # type: ignore[arg-type] # only this room writes it
                created_at=row.created_at,
            )
            for row in rows
        ]

    # What becomes of memberships when a person's account does something

    async def _memberships(self, envelope: Envelope) -> Sequence[MembershipRow]:
        async with self._database.reading() as session:
            store = OrganizationStore(self._database, session)
            return await store.memberships_of(str(envelope.data["user_id"]))

    async def _deactivated(self, envelope: Envelope) -> None:
        for row in await self._memberships(envelope):
            if row.status == "active":
                # An account that was taken over must be stopped even if it is the only owner's.
                await self._rbac.suspend(row.user_id, org_id=row.org_id, keep_an_owner=False)

    async def _reactivated(self, envelope: Envelope) -> None:
        for row in await self._memberships(envelope):
            if row.status == "active":
                await self._rbac.resume(row.user_id, org_id=row.org_id)

    async def _deleted(self, envelope: Envelope) -> None:
        for row in await self._memberships(envelope):
            await self.part(row.user_id, org_id=row.org_id)
