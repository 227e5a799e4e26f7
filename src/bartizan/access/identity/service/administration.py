"""What operators of the platform do with accounts."""

from bartizan.access.identity.errors import NotYourself, UnknownHash, UnknownUser
from bartizan.access.identity.events import UserDeactivated, UserDeleted, UserReactivated
from bartizan.access.identity.store import LinkStore, UserStore
from bartizan.access.identity.types import (
    ActiveFilter,
    ImportedUser,
    OperatorFilter,
    PreparedUser,
    Search,
    User,
    UserChanges,
    UserLimit,
)
from bartizan.foundation.context import current
from bartizan.foundation.pages import Cursor, Page, cut, decode

from .accounts import Accounts
from .room import VERIFY


class Administration(Accounts):
    """Accounts, as operators see them: they are the platform's, so no organization's role reaches them."""

    async def list(
        self,
        search: Search = None,
        active: ActiveFilter = None,
        operator: OperatorFilter = None,
        limit: UserLimit = 20,
        cursor: Cursor = None,
    ) -> Page[User]:
        """List the people on this platform, newest first; operators only."""
        current.require_operator()
        after = decode(cursor)[0] if cursor else None
        async with self._database.reading() as session:
            rows = await UserStore(session).page(
                after, limit, search=search, active=active, operator=operator
            )
        page, following = cut(rows, limit, lambda row: [row.id])
        return Page(items=[self._record(row) for row in page], next=following)

    async def get(self, user_id: str) -> User:
        """Show one person's account; people themselves and operators."""
        if user_id != current.caller.user_id:
            current.require_operator()
        found = await self.people([user_id])
        if user_id not in found:
            raise UnknownUser(user_id=user_id)
        return found[user_id]

    async def import_user(self, imported: ImportedUser) -> User:
        """Open an account with the password hash of another system; it is replaced at the first sign-in."""
        current.require_operator()
        if imported.password_hash is not None and not self._passwords.knows(imported.password_hash):
            raise UnknownHash(field="password_hash")
        prepared = PreparedUser(**imported.model_dump(exclude={"email_verified"}))
        return await self.create(prepared, verified=imported.email_verified)

    async def update(self, user_id: str, changes: UserChanges) -> User:
        """Change an account; operators only, and nobody their own rank. Ids and hashes cannot be set."""
        current.require_operator()
        values = changes.model_dump(exclude_unset=True)
        if "is_operator" in values and user_id == current.caller.user_id:
            raise NotYourself
        for name in ("email", "email_verified", "traits", "is_operator"):
            if name in values and values[name] is None:
                del values[name]  # null clears what can be empty, and says nothing elsewhere
        if "traits" in values:
            values["traits"] = sorted(set(values["traits"]))
        verified = values.pop("email_verified", None)
        async with self._database.transaction() as session:
            row = await self._user(user_id)
            if values.get("email", row.email) != row.email:
                await LinkStore(session).forget(user_id)
                verified = bool(verified)
            if verified is not None and verified != (row.email_verified_at is not None):
                values["email_verified_at"] = self._clock.now() if verified else None
            return await self._change(user_id, values)

    async def deactivate(self, user_id: str) -> User:
        """Switch an account off: its sessions and keys end at once. Operators only."""
        return await self._switch(user_id, on=False)

    async def reactivate(self, user_id: str) -> User:
        """Switch an account on again; its sessions and keys do not come back. Operators only."""
        return await self._switch(user_id, on=True)

    async def delete(self, user_id: str) -> None:
        """Delete an account and erase what it says of the person; the log keeps its id. Operators only."""
        current.require_operator()
        if user_id == current.caller.user_id:
            raise NotYourself
        now = self._clock.now()
        async with self._database.transaction() as session:
            row = await self._user(user_id)
            row.email = f"{row.id}@deleted.invalid"
            row.username = row.full_name = row.department = row.password_hash = None
            row.email_verified_at = row.last_sign_in_at = None
            row.is_active = row.is_operator = False
            row.traits = []
            row.deleted_at = row.updated_at = now
            await LinkStore(session).forget(user_id)
            await self._events.announce(UserDeleted(user_id=user_id))

    async def resend_verification(self, user_id: str) -> None:
        """Mail the link that confirms an address again; operators only."""
        current.require_operator()
        async with self._database.transaction():
            row = await self._user(user_id)
            if row.email_verified_at is None:
                await self._mail_link(row, VERIFY)

    async def set_traits(self, user_id: str, traits: "frozenset[str]") -> User:
        """Set the traits of a person, as an identity provider maps them. For code: no permission is asked."""
        return await self._change(user_id, {"traits": sorted(traits)})

    async def _switch(self, user_id: str, *, on: bool) -> User:
        current.require_operator()
        if user_id == current.caller.user_id:
            raise NotYourself
        async with self._database.transaction() as session:
            row = await self._user(user_id)
            if row.is_active != on:
                row.is_active = on
                row.updated_at = self._clock.now()
                await LinkStore(session).forget(user_id)
                event = UserReactivated if on else UserDeactivated
                await self._events.announce(event(user_id=user_id))
        return self._record(row)
