"""Registering, signing in and out, and keeping signed in."""

from base64 import urlsafe_b64encode
from datetime import timedelta

from bartizan.access.identity import EmailTaken, NewUser, User, WrongCredentials
from bartizan.access.orgs import Acceptance, InvitationForAnother, NewOrganization, OpenInvitation
from bartizan.access.sessions.errors import RefreshNotGood, RefreshUsedBefore
from bartizan.access.sessions.events import OwnerMade, RefreshReplayed, SessionSwitched
from bartizan.access.sessions.store import SessionStore
from bartizan.access.sessions.tables import RefreshRow, SessionRow
from bartizan.access.sessions.types import (
    Credentials,
    Home,
    Me,
    Refresh,
    Registered,
    Registration,
    Switch,
    Tokens,
)
from bartizan.foundation.context import Caller, current
from bartizan.foundation.errors import Forbidden

from .ownership import Ownership
from .room import Opened, digest_of

_REFRESH = "sessions.refresh"


class Entrance(Ownership):
    """How people come in and go."""

    async def register(self, new: Registration) -> Registered:
        """Open an account, with an organization of its own or by an invitation, and sign in.

        Account, organization, default team and session are one transaction; the first person of an
        organization is its owner. Where the address has to be confirmed first, or accounts are hidden,
        the answer is ``pending`` and a mail says how to go on.
        """
        invitation = await self._invitation(new)
        if new.owner_token is not None:
            await self._look_at_owner_link(new.owner_token)
        verified = invitation is not None or new.owner_token is not None
        self._identity.admit(new.email, invited=verified)
        user = NewUser(email=new.email, password=new.password, username=new.username, full_name=new.full_name)
        if verified or not self._identity.hides_accounts:
            return await self._register(new, user, verified=verified)
        async with self._identity.evenly():
            try:
                return await self._register(new, user, verified=False)
            except EmailTaken:
                await self._identity.tell_owner(new.email)
                return Registered(status="pending")

    async def sign_in(self, credentials: Credentials) -> Tokens:
        """Sign in by e-mail address or user name, and get tokens that are new in any case.

        Whoever it is, a wrong answer is the same. Too many are answered with 429 and ``retry_after``.
        """
        password = credentials.password.get_secret_value()
        user = await self._identity.verify_password(credentials.login, password)
        return await self._enter(user, method="password")

    async def open(self, user_id: str, *, method: str = "other", org_id: str | None = None) -> Tokens:
        """Sign in somebody who proved otherwise who they are, for an organization of theirs.

        For rooms: no permission is asked. Without ``org_id`` it is the organization they joined first.
        """
        return await self._enter(None, user_id, method=method, org_id=org_id)

    async def sign_out(self) -> None:
        """End the session that asks: its tokens are refused from now on."""
        async with self._database.transaction() as session:
            store = SessionStore(session)
            await self._end(store, [await self._own(store)], "signed_out")

    async def refresh(self, request: Refresh) -> Tokens:
        """Exchange a refresh token for a new one and an access token.

        Each is good once. Used again within seconds it gives the same new one, for requests that cross;
        later it counts as stolen, and the session ends.
        """
        token, now = request.refresh_token, self._clock.now()
        async with self._database.transaction() as session:
            store = SessionStore(session)
            row = await store.family_of(digest_of(token))
            used = await store.refresh([digest_of(token)]) if row else None
            if row is None or used is None or self._is_over(row) or used.expires_at <= now:
                raise RefreshNotGood
            child = await self._child(store, row, used, token)
            if child is None:
                fact = RefreshReplayed(session_id=row.id, user_id=row.user_id)
                await self._events.announce(fact, org_id=row.org_id)
                await self._end(store, [row], "replayed")
            else:
                row.last_seen_at = now
        if child is None:
            raise RefreshUsedBefore
        return await self._tokens(Opened(row, "", child))

    async def switch(self, target: Switch) -> Tokens:
        """Act for another of your organizations without signing in again; the session gets a new token."""
        caller = current.caller
        if caller.actor_id is not None:
            message = "Stop acting as somebody else first."
            raise Forbidden(message)
        await self._orgs.resolve(current.user_id, org=target.org_id, team=target.team_id)
        async with self._database.transaction() as session:
            row = await self._own(SessionStore(session))
            fact = SessionSwitched(
                session_id=row.id, user_id=row.user_id, from_id=row.org_id, to_id=target.org_id
            )
            row.org_id, row.team_id = target.org_id, target.team_id
            token = self._renew(row)
            await self._events.announce(fact, org_id=target.org_id)
        return await self._tokens(Opened(row, token))

    async def me(self) -> Me:
        """Show who you are, which organization and team you act for, and what you may do there."""
        caller = current.caller
        user = await self._identity.me()
        homes = await self._orgs.of(user.id)
        home = next((home for home in homes if home.id == caller.org_id), None)
        return Me(
            user=user,
            organization=Home.model_validate(home) if home else None,
            team_id=caller.team_id,
            roles=sorted(caller.roles),
            permissions=sorted(caller.permissions),
            impersonator=caller.actor_id,
            session_id=caller.session_id,
            csrf_token=self.csrf_token(caller.session_id) if caller.session_id else None,
        )

    async def _invitation(self, new: Registration) -> OpenInvitation | None:
        if new.invitation is None:
            return None
        invitation = await self._orgs.invitations.read(Acceptance(token=new.invitation))
        if invitation.email != new.email:
            raise InvitationForAnother
        return invitation

    async def _register(self, new: Registration, user: NewUser, *, verified: bool) -> Registered:
        prepared = await self._identity.prepare(user)  # hashing takes long: outside of the transaction
        async with self._database.transaction():
            if new.owner_token is not None:
                await self._use_owner_link(new.owner_token)
            made = await self._identity.create(
                prepared, verified=verified, operator=new.owner_token is not None
            )
            if new.owner_token is not None:
                await self._events.announce(OwnerMade(user_id=made.id), org_id=None)
            with current.acting_as(Caller(id=made.id, kind="user", user_id=made.id)):
                org_id = await self._settle(new, made)
            opened = None
            if verified or not self._identity.verifies_email:
                made = await self._identity.signed_in(made.id)
                opened = await self._start(made, method="registration", org_id=org_id)
        if opened is None:
            if self._identity.hides_accounts:
                return Registered(status="pending")
            return Registered(status="pending", user=made, org_id=org_id)
        return Registered(status="created", user=made, org_id=org_id, tokens=await self._tokens(opened))

    async def _settle(self, new: Registration, user: User) -> str | None:
        """Give a new person an organization: the inviting one, their domain's later on, or their own."""
        if new.invitation is not None:
            return await self._orgs.invitations.redeem(new.invitation, user.id)
        if self._identity.verifies_email and await self._orgs.domains.home_of(user.email):
            return None  # they join when they have confirmed the address
        name = (
            new.organization
            or f"{user.full_name or user.username or user.email.partition('@')[0]}'s organization"
        )
        made = await self._orgs.create(NewOrganization(name=name[:120]), owner_id=user.id)
        return made.id

    async def _enter(
        self, verified: User | None, user_id: str = "", *, method: str, org_id: str | None = None
    ) -> Tokens:
        """Start a session in one transaction with a last look at the account.

        One that was ``verified`` must not have changed since: its password may be another by now.
        """
        async with self._database.transaction():
            user = await self._identity.signed_in(verified.id if verified else user_id)
            if verified is not None and verified.updated_at != user.updated_at:
                raise WrongCredentials
            home = org_id or await self._orgs.first_of(user.id)
            opened = await self._start(user, method=method, org_id=home)
        return await self._tokens(opened)

    async def _child(self, store: SessionStore, row: SessionRow, used: RefreshRow, token: str) -> str | None:
        """Give the token that follows, the same to all who ask in time; none when it is too late to ask."""
        now = self._clock.now()
        children = [
            urlsafe_b64encode(mac).decode().rstrip("=")
            for mac in self._keyring.macs(_REFRESH, token.encode())
        ]
        if used.replaced_at is None:
            used.replaced_at = now
            await store.forget_refresh(row.id, now)
            return await self._add_refresh(store, row, children[0], now)
        if now - used.replaced_at > timedelta(seconds=self._settings.refresh_window):
            return None
        known = await store.refresh([digest_of(child) for child in children])
        return next((child for child in children if known and digest_of(child) == known.digest), None)
