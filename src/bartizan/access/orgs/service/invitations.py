"""Invitations: letters that let their reader in, once and for a while."""

from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_urlsafe
from typing import Literal

from bartizan.access.orgs.errors import (
    AlreadyAMember,
    InvitationForAnother,
    InvitationNotPending,
    InviterMayNot,
    UnknownInvitation,
    UnknownPerson,
    UnknownTeam,
)
from bartizan.access.orgs.events import (
    InvitationAccepted,
    InvitationResent,
    InvitationRevoked,
    InvitationSent,
)
from bartizan.access.orgs.settings import OrgsSettings
from bartizan.access.orgs.store import MemberStore, OrganizationStore
from bartizan.access.orgs.tables import InvitationRow, OrganizationRow
from bartizan.access.orgs.types import (
    Acceptance,
    Invitation,
    Joined,
    NewInvitation,
    OpenInvitation,
    People,
    Post,
)
from bartizan.access.rbac import Rbac
from bartizan.backbone.events import Events
from bartizan.foundation import ids
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import Permission, current
from bartizan.foundation.database import Database
from bartizan.foundation.pages import Cursor, Limit, Page, cut, decode

from .members import Members
from .plans import Plans
from .teams import Teams

INVITE = Permission("orgs:invite", "Invite people by e-mail, and withdraw invitations")


class Invitations:
    """Invitations to the caller's organization: ``bz.orgs.invitations``."""

    def __init__(
        self,
        database: Database,
        events: Events,
        *,
        rbac: Rbac,
        people: People,
        post: Post,
        members: Members,
        teams: Teams,
        plans: Plans,
        clock: Clock,
        settings: OrgsSettings,
        base_url: str,
    ) -> None:
        self._database = database
        self._events = events
        self._rbac = rbac
        self._people = people
        self._post = post
        self._members = members
        self._teams = teams
        self._plans = plans
        self._clock = clock
        self._settings = settings
        self._base_url = base_url.rstrip("/")

    async def list(self, limit: Limit = 50, cursor: Cursor = None) -> Page[Invitation]:
        """List the invitations, the newest first, whatever became of them."""
        current.require(INVITE)
        after = decode(cursor)[0] if cursor else None
        async with self._database.reading() as session:
            store = MemberStore(self._database, session, current.org_id)
            found = await store.invitations(after, limit + 1)
        rows, following = cut(found, limit, lambda row: [row.id])
        return Page(items=[self._shown(row) for row in rows], next=following)

    async def get(self, invitation_id: str) -> Invitation:
        """Show one invitation."""
        current.require(INVITE)
        async with self._database.reading() as session:
            store = MemberStore(self._database, session, current.org_id)
            return self._shown(await self._known(store, invitation_id))

    async def create(self, new: NewInvitation) -> Invitation:
        """Invite somebody by e-mail. An older invitation to the same address is withdrawn.

        You must hold everything that the role gives. Pending invitations count as seats here.
        """
        current.require(INVITE)
        org_id = current.org_id
        email = new.email.strip().lower()
        now = self._clock.now()
        async with self._database.transaction() as session:
            role = await self._rbac.require_conferrable(new.role)
            store = MemberStore(self._database, session, org_id)
            if new.team_id is not None:
                if await store.team(new.team_id) is None:
                    raise UnknownTeam(team_id=new.team_id)
                await self._teams.require_leader(new.team_id)
            person = await self._people.by_email(email)
            if person is not None and await store.member(person.id) is not None:
                raise AlreadyAMember(email=email)
            for older in await store.pending_for(email, now):
                await self._revoke(store, older)
            await self._plans.take_own("seats", org_id=org_id, extra=await store.count_pending(now))
            token = token_urlsafe(32)
            row = InvitationRow(
                id=ids.new("inv"),
                org_id=org_id,
                email=email,
                role=role,
                team_id=new.team_id,
                token_digest=_digest(token),
                invited_by=current.caller.user_id,
                created_at=now,
                expires_at=self._until(),
            )
            await store.add(row)
            await self._events.announce(InvitationSent(invitation_id=row.id, email=email, role=role))
            await self._send(row, token)
        return self._shown(row)

    async def resend(self, invitation_id: str) -> Invitation:
        """Send an invitation again, good for as long as a new one; the link sent before is dead."""
        current.require(INVITE)
        async with self._database.transaction() as session:
            store = MemberStore(self._database, session, current.org_id)
            row = await self._known(store, invitation_id)
            if row.accepted_at or row.revoked_at:
                raise InvitationNotPending(invitation_id=invitation_id)
            await self._rbac.require_conferrable(row.role)
            token = token_urlsafe(32)
            row.token_digest = _digest(token)
            row.expires_at = self._until()
            row.invited_by = current.caller.user_id
            await store.save()
            await self._events.announce(InvitationResent(invitation_id=row.id, email=row.email))
            await self._send(row, token)
            return self._shown(row)

    async def delete(self, invitation_id: str) -> None:
        """Withdraw an invitation: its link is dead."""
        current.require(INVITE)
        async with self._database.transaction() as session:
            store = MemberStore(self._database, session, current.org_id)
            row = await self._known(store, invitation_id)
            if row.accepted_at or row.revoked_at:
                raise InvitationNotPending(invitation_id=invitation_id)
            await self._revoke(store, row)

    async def read(self, acceptance: Acceptance) -> OpenInvitation:
        """Show what an invitation's link is for; anybody who has the link may ask."""
        async with self._database.reading() as session:
            row, organization = await self._open(MemberStore(self._database, session), acceptance.token)
        return OpenInvitation(
            organization=organization.name, email=row.email, role=row.role, expires_at=row.expires_at
        )

    async def accept(self, acceptance: Acceptance) -> Joined:
        """Join the organization that invited you; the invitation must be for your own address."""
        return Joined(org_id=await self.redeem(acceptance.token, current.require_person()))

    async def redeem(self, token: str, user_id: str) -> str:
        """Use an invitation for a person, once, and give the organization's id.

        For rooms: registering with an invitation makes the account and redeems in one transaction.
        The person's address must be the one invited, and whoever invited must still be able to.
        """
        now = self._clock.now()
        async with self._database.transaction() as session:
            row, organization = await self._open(MemberStore(self._database, session), token)
            store = MemberStore(self._database, session, organization.id)
            person = (await self._people.people([user_id])).get(user_id)
            if person is None or not person.is_active:
                raise UnknownPerson(user_id=user_id)
            if person.email.strip().lower() != row.email:
                raise InvitationForAnother
            await self._still_may(row)
            if await store.member(user_id) is not None:
                raise AlreadyAMember(user_id=user_id)
            if not await store.use_invitation(row.id, row.token_digest, user_id, now):
                raise UnknownInvitation
            await self._members.join(user_id, row.role, org_id=organization.id, source="invitation")
            if row.team_id is not None:
                await self._teams.join(row.team_id, user_id, "member", org_id=organization.id)
            fact = InvitationAccepted(invitation_id=row.id, email=row.email, user_id=user_id)
            await self._events.announce(fact, org_id=organization.id)
        return organization.id

    async def _still_may(self, row: InvitationRow) -> None:
        """Refuse an invitation whose sender has lost, since, what its role gives."""
        if row.invited_by is None:
            return
        gives = await self._rbac.permissions_of(row.role, row.org_id)
        holds = await self._rbac.effective(row.invited_by, row.org_id)
        owner = row.role != "owner" or "owner" in holds.roles
        if gives is None or not owner or not ({*gives, INVITE.name} <= holds.permissions):
            raise InviterMayNot(invitation_id=row.id)

    async def _open(self, store: MemberStore, token: str) -> tuple[InvitationRow, OrganizationRow]:
        found = await store.open_invitation(_digest(token), self._clock.now())
        if found is None:
            raise UnknownInvitation
        return found

    async def _known(self, store: MemberStore, invitation_id: str) -> InvitationRow:
        row = await store.invitation(invitation_id)
        if row is None:
            raise UnknownInvitation(invitation_id=invitation_id[:30])
        return row

    async def _revoke(self, store: MemberStore, row: InvitationRow) -> None:
        row.revoked_at = self._clock.now()
        await store.save()
        await self._events.announce(InvitationRevoked(invitation_id=row.id, email=row.email))

    async def _send(self, row: InvitationRow, token: str) -> None:
        async with self._database.reading() as session:
            organization = await OrganizationStore(self._database, session, row.org_id).find()
        inviter = row.invited_by or ""
        person = (await self._people.people([inviter])).get(inviter)
        await self._post.send(
            to=row.email,
            template="invitation",
            data={
                "organization": organization.name if organization else "",
                "inviter": (person.full_name or person.email) if person else None,
                "role": row.role,
                "url": f"{self._base_url}/invitation?token={token}",
                "expires": f"{row.expires_at:%d %B %Y, %H:%M} UTC",
            },
            org_id=row.org_id,
        )

    def _until(self) -> datetime:
        return self._clock.now() + timedelta(hours=self._settings.invitation_hours)

    def _status(self, row: InvitationRow) -> Literal["pending", "accepted", "revoked", "expired"]:
        if row.accepted_at:
            return "accepted"
        if row.revoked_at:
            return "revoked"
        return "expired" if row.expires_at <= self._clock.now() else "pending"

    def _shown(self, row: InvitationRow) -> Invitation:
        return Invitation(
            id=row.id,
            email=row.email,
            role=row.role,
            team_id=row.team_id,
            invited_by=row.invited_by,
            status=self._status(row),
            created_at=row.created_at,
            expires_at=row.expires_at,
        )


def _digest(token: str) -> str:
    """Give what is stored of a token; it has 256 random bits, so it needs no salt and no key."""
    return sha256(token.encode()).hexdigest()
