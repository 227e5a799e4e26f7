"""Acting as somebody else: with a reason, for minutes, on the record, and never for more rights."""

from datetime import timedelta

from bartizan.access.identity import IMPERSONATE, UnknownUser, User
from bartizan.access.sessions.errors import (
    AlreadyImpersonating,
    CannotImpersonate,
    NoSession,
    NotImpersonating,
    SessionOver,
)
from bartizan.access.sessions.events import ImpersonationStarted, ImpersonationStopped
from bartizan.access.sessions.store import SessionStore
from bartizan.access.sessions.types import Impersonation, Stopping, Tokens
from bartizan.foundation.context import current

from .room import Opened, Room


class Impersonations(Room):
    """Sessions in which one person acts as another."""

    async def impersonate(self, request: Impersonation) -> Tokens:
        """Act as a member of your organization, for a quarter of an hour; operators may act as anybody.

        What you may do then is what both of you may. It cannot be nested nor prolonged, it cannot change
        their password, and the audit log names both.
        """
        caller = current.caller
        if caller.actor_id is not None:
            raise AlreadyImpersonating
        if caller.session_id is None or caller.user_id is None:
            raise NoSession
        if not caller.operator:
            current.require(IMPERSONATE)
        user, org_id = await self._subject(request.user_id)
        async with self._database.transaction() as session:
            await self._own(SessionStore(session))
            lasts = timedelta(minutes=self._settings.impersonation_minutes)
            opened = await self._start(
                user, method="impersonation", org_id=org_id, lasts=lasts, actor=caller, reason=request.reason
            )
            fact = ImpersonationStarted(
                session_id=opened.row.id, user_id=user.id, actor_id=caller.user_id, reason=request.reason
            )
            await self._events.announce(fact, org_id=org_id)
        return await self._tokens(opened)

    async def stop_impersonating(self, how: Stopping | None = None) -> Tokens:  # noqa: ARG002 - for doors with cookies
        """Be yourself again: that session ends, and your own gets a new token."""
        if current.caller.actor_id is None:
            raise NotImpersonating
        token = ""
        async with self._database.transaction() as session:
            store = SessionStore(session)
            row = await self._own(store)
            home = await store.find(row.actor_session_id or "", lock=True)
            fact = ImpersonationStopped(
                session_id=row.id, user_id=row.user_id, actor_id=current.caller.actor_id
            )
            await self._events.announce(fact, org_id=row.org_id)
            await self._end(store, [row], "signed_out")
            if home is not None and not self._is_over(home):
                token = self._renew(home)
        if home is None or not token:
            raise SessionOver
        return await self._tokens(Opened(home, token))

    async def _subject(self, user_id: str) -> tuple[User, str | None]:
        caller = current.caller
        user = (await self._identity.people([user_id])).get(user_id)
        org_id = caller.org_id
        if user is not None and org_id is not None:
            membership = await self._orgs.membership(user_id, org_id)
            if membership is None or membership.status != "active":
                user = user if caller.operator else None
                org_id = None
        if user is None or not (user.is_active and (org_id or caller.operator)):
            raise UnknownUser(user_id=user_id)
        if user.id == caller.user_id or (user.is_operator and not caller.operator):
            raise CannotImpersonate
        return user, org_id or await self._orgs.first_of(user_id)
