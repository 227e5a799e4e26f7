"""Seeing and ending sessions: one's own, and those of others."""

from bartizan.access.identity import NotWhileImpersonating, UnknownUser
from bartizan.access.sessions.errors import UnknownSession
from bartizan.access.sessions.store import SessionStore
from bartizan.access.sessions.tables import SessionRow
from bartizan.access.sessions.types import PersonFilter, SessionInfo
from bartizan.foundation.context import InPersonOnly, Permission, current
from bartizan.foundation.pages import Cursor, Limit, Page, cut, decode

from .room import Room

READ = Permission("sessions:read", "See who is signed in, from where and with what")
END = Permission("sessions:end", "End the sessions of others")


class Oversight(Room):
    """Sessions as their owners, their organization's admins and the platform's operators see them."""

    async def list(self, limit: Limit = 50, cursor: Cursor = None) -> Page[SessionInfo]:
        """List your own sessions, newest first: device, address, and when each was last used."""
        return await self._page(limit, cursor, user_id=current.user_id)

    async def list_all(
        self, user_id: PersonFilter = None, limit: Limit = 50, cursor: Cursor = None
    ) -> Page[SessionInfo]:
        """List the sessions that act for your organization, newest first; operators see everybody's."""
        return await self._page(limit, cursor, org_id=self._within_reach(READ), user_id=user_id)

    async def end(self, session_id: str) -> None:
        """End a session of your own, or with the permission one that acts for your organization."""
        async with self._database.transaction() as session:
            store = SessionStore(session)
            row = await store.find(session_id, lock=True)
            if row is None or not self._may_end(row):
                raise UnknownSession(session_id=session_id[:30])
            await self._end(store, [row], "revoked")

    async def end_others(self) -> None:
        """End all your sessions but the one that asks."""
        _not_impersonating()
        async with self._database.transaction() as session:
            store = SessionStore(session)
            rows = await store.of([current.user_id])
            others = [row for row in rows if row.id != current.caller.session_id]
            await self._end(store, others, "revoked")

    async def end_all_of(self, user_id: str) -> None:
        """End the sessions of a person that act for your organization; operators end all of them."""
        org_id = self._within_reach(END)
        _not_impersonating()
        if org_id is not None and await self._orgs.membership(user_id, org_id) is None:
            raise UnknownUser(user_id=user_id[:30])
        async with self._database.transaction() as session:
            store = SessionStore(session)
            await self._end(store, await store.of([user_id], org_id=org_id, acting=org_id is None), "revoked")

    async def purge(self) -> int:
        """Delete what is over, and say how many there were. For the schedule."""
        async with self._database.transaction() as session:
            return await SessionStore(session).sweep(self._clock.now(), self._idle_since())

    async def _page(
        self, limit: int, cursor: str | None, *, org_id: str | None = None, user_id: str | None = None
    ) -> Page[SessionInfo]:
        after = decode(cursor)[0] if cursor else None
        async with self._database.reading() as session:
            rows = await SessionStore(session).page(after, limit, org_id=org_id, user_id=user_id)
        page, following = cut(rows, limit, lambda row: [row.id])
        return Page(items=[self._shown(row) for row in page if not self._is_over(row)], next=following)

    def _within_reach(self, permission: Permission) -> str | None:
        """Give the organization whose sessions the caller oversees; none for all, which operators do."""
        if current.caller.operator or (current.caller.kind == "system" and current.caller.org_id is None):
            return None
        current.require(permission)
        return current.org_id

    def _may_end(self, row: SessionRow) -> bool:
        caller = current.caller
        if row.user_id == caller.user_id and caller.kind == "user":
            return caller.actor_id is None or row.id == caller.session_id
        if caller.operator or caller.kind == "system":
            return True
        return row.org_id is not None and row.org_id == caller.org_id and current.allows(END)

    def _shown(self, row: SessionRow) -> SessionInfo:
        info = SessionInfo.model_validate(row)
        mine = current.caller.session_id
        return info.model_copy(update={"current": row.id == mine}) if mine == row.id else info


def _not_impersonating() -> None:
    if current.caller.actor_id is not None:
        raise NotWhileImpersonating
    if current.caller.kind == "key":
        raise InPersonOnly
