"""Opening accounts, checking passwords, and what people do with their own account."""

import time
from collections.abc import Collection, Mapping

from bartizan.access.identity.errors import (
    DomainNotAllowed,
    EmailNotVerified,
    RegistrationClosed,
    UnknownUser,
    UsernameTaken,
    WrongCredentials,
)
from bartizan.access.identity.events import UserRegistered, UserUpdated
from bartizan.access.identity.store import UserStore
from bartizan.access.identity.tables import UserRow
from bartizan.access.identity.types import (
    LONGEST_PASSWORD,
    NewUser,
    PreparedUser,
    ProfileChanges,
    User,
    normal_email,
    normal_login,
)
from bartizan.foundation import ids
from bartizan.foundation.context import current

from .lockout import Attempt
from .room import VERIFY, Room, not_impersonating


class Accounts(Room):
    """Accounts of people, whichever organizations they belong to."""

    def admit(self, email: str, *, invited: bool = False) -> None:
        """Refuse an address that may not open an account by itself, as the registration mode says.

        Whether somebody was invited is for the caller to prove.
        """
        mode = self._settings.registration
        if mode == "open" or invited:
            return
        if mode != "domain":
            raise RegistrationClosed
        if email.rpartition("@")[2] not in self._settings.domains:
            raise DomainNotAllowed

    async def prepare(self, new: NewUser) -> PreparedUser:
        """Judge and hash the password of an account, outside of any transaction; nothing is written."""
        password = new.password.get_secret_value()
        await self._policy.check(password, field="password", about=(new.email, new.username, new.full_name))
        return PreparedUser(
            email=new.email,
            username=new.username,
            full_name=new.full_name,
            password_hash=await self._passwords.hash(password),
        )

    async def create(
        self,
        new: NewUser | PreparedUser,
        *,
        verified: bool = False,
        operator: bool = False,
        mail: bool = True,
    ) -> User:
        """Open an account, joining the caller's transaction. For code: no permission is asked.

        ``verified`` says that the address is known to be theirs; else a link is mailed where that is needed.
        Raises ``EmailTaken`` or ``UsernameTaken``.
        """
        prepared = await self.prepare(new) if isinstance(new, NewUser) else new
        now = self._clock.now()
        async with self._database.transaction() as session:
            store = UserStore(session)
            username = prepared.username
            if username is not None and self.hides_accounts and await store.username_taken(username):
                # Refusing would say who has it; the person can choose another name after signing in.
                username = None
            row = UserRow(
                id=ids.new("usr"),
                email=prepared.email,
                username=username,
                full_name=prepared.full_name,
                department=prepared.department,
                password_hash=prepared.password_hash,
                is_active=True,
                is_operator=operator,
                email_verified_at=now if verified else None,
                traits=[],
                last_sign_in_at=None,
                created_at=now,
                updated_at=now,
                deleted_at=None,
            )
            await store.add(row)
            await self._events.announce(UserRegistered(user_id=row.id, verified=verified))
            if mail and not verified and self.verifies_email:
                await self._mail_link(row, VERIFY)
        return self._record(row)

    async def tell_owner(self, email: str) -> None:
        """Mail the owner of an address that somebody tried to open an account with it."""
        await self._email.send(
            to=email,
            template="account_exists",
            data={"url": f"{self._pages}/sign-in", "reset_url": f"{self._pages}/forgot"},
        )

    async def check_password(self, login: str, password: str) -> User:
        """Find who signs in, as :meth:`verify_password` does, and note the moment."""
        return await self.signed_in((await self.verify_password(login, password)).id)

    async def verify_password(self, login: str, password: str) -> User:
        """Find whose login and password these are, by e-mail address or user name.

        Whoever it is, a wrong answer is ``WrongCredentials`` and takes as long. Raises ``SignInLocked`` with
        ``retry_after`` (seconds) after too many failures, ``SignInBusy`` when too many wait, and
        ``EmailNotVerified`` where the address must be confirmed first and accounts are not hidden.
        """
        started = time.perf_counter()
        self._passwords.admit()
        attempt = await self._lockout.begin(login)
        async with self._database.reading() as session:
            row = await UserStore(session).by_login(normal_login(login)[:320])
        if len(password) > LONGEST_PASSWORD:
            row, password = None, ""
        verdict = await self._passwords.verify(password, row.password_hash if row else None)
        reason = self._reason(row, good=verdict.good)
        if row is None or reason is not None:
            async with self.evenly(started):
                await self._refuse(attempt, row, reason or "unknown")
            raise WrongCredentials
        await self._lockout.succeed(attempt)
        if verdict.stale:
            await self._replace(row, await self._passwords.hash(password))
        return self._record(row)

    async def signed_in(self, user_id: str) -> User:
        """Note that a person signs in, unless their account is off. For code: no permission is asked."""
        async with self._database.transaction():
            row = await self._user(user_id)
            if not row.is_active:
                raise WrongCredentials
            row.last_sign_in_at = self._clock.now()
        return self._record(row)

    async def people(self, user_ids: Collection[str]) -> Mapping[str, User]:
        """Give the people with these ids, leaving out unknown ones. For code: no permission is asked."""
        if not user_ids:
            return {}
        async with self._database.reading() as session:
            rows = await UserStore(session).some(user_ids)
            return {row.id: self._record(row) for row in rows}

    async def find_by_email(self, email: str) -> User | None:
        """Find who has an address, or nobody. For code: no permission is asked."""
        try:
            address = normal_email(email)
        except ValueError:
            return None
        async with self._database.reading() as session:
            row = await UserStore(session).by_email(address)
            return self._record(row) if row else None

    async def by_email(self, email: str) -> User | None:
        """Find who has an address, or nobody; the same as ``find_by_email``, as organizations call it."""
        return await self.find_by_email(email)

    async def me(self) -> User:
        """Show the account of whoever asks."""
        found = await self.people([current.user_id])
        if current.user_id not in found:
            raise UnknownUser(user_id=current.user_id)
        return found[current.user_id]

    async def update_me(self, changes: ProfileChanges) -> User:
        """Change your own name or user name; what is left out stays, and null clears it."""
        not_impersonating()
        return await self._change(current.user_id, changes.model_dump(exclude_unset=True))

    async def _change(self, user_id: str, values: dict[str, object]) -> User:
        async with self._database.transaction() as session:
            store = UserStore(session)
            row = await self._user(user_id)
            changed = tuple(sorted(name for name, value in values.items() if getattr(row, name) != value))
            if not changed:
                return self._record(row)
            username = values.get("username")
            if (
                isinstance(username, str)
                and username != row.username
                and await store.username_taken(username)
            ):
                raise UsernameTaken(field="username")
            for name in changed:
                setattr(row, name, values[name])
            row.updated_at = self._clock.now()
            await store.save()
            await self._events.announce(UserUpdated(user_id=user_id, changed=changed))
        return self._record(row)

    def _reason(self, row: UserRow | None, *, good: bool) -> str | None:
        if row is None:
            return "unknown"
        if not good:
            return "password"
        if not row.is_active:
            return "disabled"
        if self.verifies_email and row.email_verified_at is None:
            return "unverified"
        return None

    async def _refuse(self, attempt: Attempt, row: UserRow | None, reason: str) -> None:
        async with self._database.transaction():
            if row is not None and reason == "unverified":
                await self._mail_link(row, VERIFY)
            if reason == "unverified" and not self.hides_accounts:
                await self._lockout.succeed(attempt)
            else:
                await self._lockout.fail(attempt, user_id=row.id if row else None, reason=reason)
        if reason == "unverified" and not self.hides_accounts:
            raise EmailNotVerified

    async def _replace(self, row: UserRow, fresh: str) -> None:
        """Put our own hash in the place of an old one, unless the password was changed meanwhile."""
        async with self._database.transaction():
            now_row = await self._user(row.id)
            if now_row.password_hash == row.password_hash:
                now_row.password_hash = fresh
