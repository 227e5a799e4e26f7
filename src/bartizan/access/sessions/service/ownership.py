"""The first owner: a link, printed at the installation, that works until somebody has used it."""

from datetime import timedelta

from bartizan.access.identity import NewUser
from bartizan.access.sessions.errors import OwnerExists, OwnerLinkNotGood
from bartizan.access.sessions.types import Registration, Tokens
from bartizan.foundation.context import Caller, current
from bartizan.foundation.crypto import BadToken, TimedTokens

from .entrance import Entrance

_PURPOSE = "sessions.owner"
_SUBJECT = "first-owner"


class Ownership(Entrance):
    """How a new installation gets its first owner, who is also its first operator."""

    async def owner_link(self, *, minutes: int = 30) -> str:
        """Give the address at which the first owner makes their account. Operators and the system only.

        It works for ``minutes`` and until there is an operator; each call makes another one.
        """
        current.require_operator()
        if await self._has_operator():
            raise OwnerExists
        token = TimedTokens(self._keyring, clock=self._clock).issue(
            _PURPOSE, _SUBJECT, timedelta(minutes=minutes)
        )
        return f"{self._pages}/owner?token={token}"

    async def become_owner(self, token: str, new: Registration) -> Tokens:
        """Make the first owner's account and organization by the link's token, and sign in.

        Whoever has the link reads the machine's terminal or mail, so the address counts as confirmed.
        """
        try:
            TimedTokens(self._keyring, clock=self._clock).check(_PURPOSE, token)
        except BadToken as error:
            raise OwnerLinkNotGood(field="token") from error
        user = NewUser(email=new.email, password=new.password, username=new.username, full_name=new.full_name)
        prepared = await self._identity.prepare(user)  # hashing takes long: outside of the transaction
        async with self._database.transaction():
            if await self._has_operator():
                raise OwnerExists
            made = await self._identity.create(prepared, verified=True, operator=True)
            with current.acting_as(Caller(id=made.id, kind="user", user_id=made.id)):
                org_id = await self._settle(new, made)
            made = await self._identity.signed_in(made.id)
            opened = await self._start(made, method="registration", org_id=org_id)
        return await self._tokens(opened)

    async def _has_operator(self) -> bool:
        with current.as_system(name="sessions"):
            return bool((await self._identity.list(operator=True, limit=1)).items)
