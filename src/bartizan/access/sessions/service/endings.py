"""What ends sessions although nobody asked for it."""

from bartizan.access.identity import (
    EmailVerified,
    PasswordChanged,
    PasswordReset,
    UserDeactivated,
    UserDeleted,
)
from bartizan.access.orgs import MemberRemoved, MemberSuspended, OrganizationDeleted
from bartizan.access.rbac import RoleAssigned, RoleUnassigned
from bartizan.access.sessions.store import SessionStore
from bartizan.backbone.events import Envelope
from bartizan.foundation.capability import Event

from .room import Room

_REASONS: dict[type[Event], str] = {
    UserDeactivated: "deactivated",
    UserDeleted: "deleted",
    PasswordReset: "password",
    PasswordChanged: "password",
}
_CHANGES = ("user.*", "role.*", "permission.*", "member.*", "team_member.*", "team.*", "organization.*")


class Endings(Room):
    """Listens to the rooms below, inside their transactions: nobody is out of a job and still signed in."""

    def _listen(self) -> None:
        for event in _REASONS:
            self._events.within(event, self._person_changed)
        for event in (MemberRemoved, MemberSuspended):
            self._events.within(event, self._member_left)
        for event in (RoleAssigned, RoleUnassigned):
            self._events.within(event, self._role_changed)
        self._events.within(OrganizationDeleted, self._organization_closed)
        self._events.within(EmailVerified, self._email_verified)
        for pattern in _CHANGES:
            self._events.listen(pattern, self._changed)

    async def _person_changed(self, envelope: Envelope) -> None:
        event = envelope.event
        keep = event.keep if isinstance(event, PasswordChanged) else None
        async with self._database.transaction() as session:
            store = SessionStore(session)
            rows = await store.of([envelope.data["user_id"]], acting=True)
            await self._end(
                store, [row for row in rows if row.id != keep], _REASONS[type(event)] if event else ""
            )

    async def _member_left(self, envelope: Envelope) -> None:
        user_id, org_id = envelope.data["user_id"], envelope.tenant_id
        async with self._database.transaction() as session:
            store = SessionStore(session)
            rows = await store.of([user_id], acting=True)
            await self._end(store, [row for row in rows if row.org_id == org_id], "removed")

    async def _role_changed(self, envelope: Envelope) -> None:
        async with self._database.transaction() as session:
            await SessionStore(session).mark(envelope.data["user_id"])

    async def _organization_closed(self, envelope: Envelope) -> None:
        async with self._database.transaction() as session:
            await SessionStore(session).leave(envelope.data["org_id"])

    async def _email_verified(self, envelope: Envelope) -> None:
        """Let somebody into the organization that lists the domain of their address, unless they have one."""
        user_id = envelope.data["user_id"]
        user = (await self._identity.people([user_id])).get(user_id)
        if user is not None and await self._orgs.first_of(user_id) is None:
            await self._orgs.domains.admit(user_id, user.email)

    def forget(self) -> None:
        """Remember nobody who was let in: another process may have ended any session."""
        self._live.drop()

    def _changed(self, _envelope: Envelope) -> None:
        self.forget()
