"""Mailed links: confirming an address and setting a new password."""

from bartizan.access.identity.errors import LinkNotGood, WrongCredentials, WrongPassword
from bartizan.access.identity.events import (
    EmailVerified,
    PasswordChanged,
    PasswordReset,
    PasswordResetRequested,
)
from bartizan.access.identity.store import LinkStore, UserStore
from bartizan.access.identity.tables import UserRow
from bartizan.access.identity.types import (
    LONGEST_PASSWORD,
    EmailOnly,
    LinkOnly,
    NewPassword,
    PasswordChange,
    User,
)
from bartizan.foundation.context import current

from .room import RESET, VERIFY, Room, digest_of, not_impersonating


class Recovery(Room):
    """What a mailed link allows, once."""

    async def request_verification(self, request: EmailOnly) -> None:
        """Mail the link that confirms an address again; the answer is the same if there is no account."""
        async with self.evenly(), self._database.transaction() as session:
            row = await UserStore(session).by_email(request.email)
            if row is not None and row.is_active and row.email_verified_at is None:
                await self._mail_link(row, VERIFY)

    async def verify_email(self, link: LinkOnly) -> User:
        """Confirm an address by the token that was mailed to it."""
        now = self._clock.now()
        async with self._database.transaction() as session:
            taken = await LinkStore(session).take(digest_of(link.token), VERIFY, now)
            row = await UserStore(session).find(taken.user_id, lock=True) if taken else None
            if taken is None or row is None or taken.email != row.email:
                raise LinkNotGood(field="token")
            await self._confirm(row)
        return self._record(row)

    async def request_password_reset(self, request: EmailOnly) -> None:
        """Mail a link for a new password; the answer is the same whether there is an account."""
        async with self.evenly(), self._database.transaction() as session:
            row = await UserStore(session).by_email(request.email)
            if row is not None and row.is_active and await self._mail_link(row, RESET):
                await self._events.announce(PasswordResetRequested(user_id=row.id), org_id=None)

    async def reset_password(self, new: NewPassword) -> None:
        """Set a new password by the token that was mailed; every session of the account ends.

        The address counts as confirmed then: only its owner reads its mail.
        """
        password = new.password.get_secret_value()
        digest, now = digest_of(new.token), self._clock.now()
        async with self._database.reading() as session:
            link = await LinkStore(session).peek(digest, RESET, now)
            row = await UserStore(session).find(link.user_id) if link else None
        if row is None:
            raise LinkNotGood(field="token")
        await self._policy.check(password, field="password", about=(row.email, row.username, row.full_name))
        hashed = await self._passwords.hash(password)
        async with self._database.transaction() as session:
            taken = await LinkStore(session).take(digest, RESET, self._clock.now())
            row = await UserStore(session).find(taken.user_id, lock=True) if taken else None
            if taken is None or row is None or not row.is_active or taken.email != row.email:
                raise LinkNotGood(field="token")
            await self._confirm(row)
            await self._set(row, hashed)
            await self._events.announce(PasswordReset(user_id=row.id), org_id=None)

    async def change_password(self, change: PasswordChange) -> None:
        """Change your own password by the current one; your other sessions end."""
        not_impersonating()
        async with self._database.reading() as session:
            row = await UserStore(session).find(current.user_id)
        if row is None:
            raise WrongCredentials
        self._passwords.admit()
        attempt = await self._lockout.begin(row.email)
        given = change.current_password.get_secret_value()[:LONGEST_PASSWORD]
        if not (await self._passwords.verify(given, row.password_hash)).good:
            await self._lockout.fail(attempt, user_id=row.id, reason="password")
            raise WrongPassword(field="current_password")
        await self._lockout.succeed(attempt)
        password = change.new_password.get_secret_value()
        await self._policy.check(
            password, field="new_password", about=(row.email, row.username, row.full_name)
        )
        hashed = await self._passwords.hash(password)
        async with self._database.transaction() as session:
            fresh = await self._user(row.id)
            if fresh.password_hash != row.password_hash:
                raise WrongPassword(field="current_password")
            await LinkStore(session).forget(fresh.id, RESET)
            await self._set(fresh, hashed)
            await self._events.announce(PasswordChanged(user_id=fresh.id, keep=current.caller.session_id))

    async def _confirm(self, row: UserRow) -> None:
        if row.email_verified_at is None:
            row.email_verified_at = self._clock.now()
            await self._events.announce(EmailVerified(user_id=row.id), org_id=None)

    async def _set(self, row: UserRow, hashed: str) -> None:
        now, origin = self._clock.now(), current.origin
        row.password_hash = hashed
        row.updated_at = now
        await self._email.send(
            to=row.email,
            template="password_changed",
            data={
                "at": f"{now:%d %B %Y, %H:%M} UTC",
                "ip": (origin.ip if origin else None) or "",
                "url": f"{self._pages}/forgot",
            },
        )
