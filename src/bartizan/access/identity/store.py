"""Queries about accounts; the only file of the room that speaks SQL."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from bartizan.foundation.database import insert_into

from .errors import EmailTaken, UsernameTaken
from .tables import AttemptRow, LinkRow, UserRow


class UserStore:
    """All people; deleted accounts are never found."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, row: UserRow) -> None:
        """Add an account; refuses an e-mail address or a user name that another has."""
        self._session.add(row)
        await self.save()

    async def save(self) -> None:
        """Write what was changed; refuses an e-mail address or a user name that another has."""
        try:
            await self._session.flush()
        except IntegrityError as error:
            if re.search(r"users[._]username", str(error.orig)):
                raise UsernameTaken(field="username") from error
            raise EmailTaken(field="email") from error

    async def find(self, user_id: str, *, lock: bool = False) -> UserRow | None:
        query = self._all().where(UserRow.id == user_id)
        return await self._session.scalar(query.with_for_update() if lock else query)

    async def by_login(self, login: str) -> UserRow | None:
        """Find by e-mail address or by user name; a user name has no ``@``."""
        column = UserRow.email if "@" in login else UserRow.username
        return await self._session.scalar(self._all().where(column == login))

    async def by_email(self, email: str) -> UserRow | None:
        return await self._session.scalar(self._all().where(UserRow.email == email))

    async def username_taken(self, username: str) -> bool:
        return await self._session.scalar(self._all().where(UserRow.username == username)) is not None

    async def some(self, user_ids: Collection[str]) -> Sequence[UserRow]:
        return (await self._session.scalars(self._all().where(UserRow.id.in_(user_ids)))).all()

    async def page(
        self, after: str | None, limit: int, *, search: str | None, active: bool | None, operator: bool | None
    ) -> Sequence[UserRow]:
        """List the newest first, one more than ``limit``."""
        query = self._all().order_by(UserRow.id.desc()).limit(limit + 1)
        if after is not None:
            query = query.where(UserRow.id < after)
        if search:
            begins = search.casefold().replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + "%"
            columns = (UserRow.email, UserRow.username, func.lower(UserRow.full_name))
            query = query.where(or_(*(column.like(begins, escape="\\") for column in columns)))
        if active is not None:
            query = query.where(UserRow.is_active.is_(active))
        if operator is not None:
            query = query.where(UserRow.is_operator.is_(operator))
        return (await self._session.scalars(query)).all()

    def _all(self) -> Select[UserRow]:
        return select(UserRow).where(UserRow.deleted_at.is_(None))


class LinkStore:
    """Mailed links."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def newest(self, user_id: str, purpose: str) -> LinkRow | None:
        query = select(LinkRow).where(LinkRow.user_id == user_id, LinkRow.purpose == purpose)
        return await self._session.scalar(query)

    async def replace(self, row: LinkRow) -> None:
        """Add a link in the place of the earlier one of its kind."""
        await self._session.execute(
            delete(LinkRow).where(LinkRow.user_id == row.user_id, LinkRow.purpose == row.purpose)
        )
        self._session.add(row)
        await self._session.flush()

    async def take(self, digest: str, purpose: str, now: datetime) -> LinkRow | None:
        """Take a link that is still good out of the table: of two who try at once, one gets it."""
        taken = delete(LinkRow).where(LinkRow.digest == digest, LinkRow.purpose == purpose).returning(LinkRow)
        row = await self._session.scalar(taken)
        return row if row is not None and row.expires_at > now else None

    async def peek(self, digest: str, purpose: str, now: datetime) -> LinkRow | None:
        """Find a link that is still good and leave it."""
        query = select(LinkRow).where(LinkRow.digest == digest, LinkRow.purpose == purpose)
        row = await self._session.scalar(query)
        return row if row is not None and row.expires_at > now else None

    async def forget(self, user_id: str, purpose: str | None = None) -> None:
        statement = delete(LinkRow).where(LinkRow.user_id == user_id)
        if purpose is not None:
            statement = statement.where(LinkRow.purpose == purpose)
        await self._session.execute(statement)

    async def sweep(self, now: datetime) -> None:
        await self._session.execute(delete(LinkRow).where(LinkRow.expires_at < now))


class AttemptStore:
    """Failed attempts."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def ensure(self, key: str, now: datetime, forget_at: datetime) -> None:
        """Make the row of a key if there is none."""
        values: dict[str, Any] = {"key": key, "failures": 0, "locks": 0, "since": now, "forget_at": forget_at}
        await self._insert(values, update=None)

    async def trust(self, key: str, now: datetime, until: datetime) -> None:
        """Make or clear the row of a login from an address where it succeeded."""
        values = {
            "key": key,
            "failures": 0,
            "locks": 0,
            "since": now,
            "forget_at": until,
            "locked_until": None,
        }
        await self._insert(values, update={name: values[name] for name in values if name != "key"})

    async def some(self, keys: Sequence[str]) -> Mapping[str, AttemptRow]:
        """Find rows and hold them, in one order for everybody."""
        query = select(AttemptRow).where(AttemptRow.key.in_(keys)).order_by(AttemptRow.key).with_for_update()
        return {row.key: row for row in await self._session.scalars(query)}

    async def find(self, key: str) -> AttemptRow | None:
        return await self._session.scalar(select(AttemptRow).where(AttemptRow.key == key))

    async def forget(self, key: str) -> None:
        await self._session.execute(delete(AttemptRow).where(AttemptRow.key == key))

    async def sweep(self, now: datetime, most: int) -> None:
        """Delete what is past its time and, beyond ``most`` rows, what is nearest to it."""
        await self._session.execute(delete(AttemptRow).where(AttemptRow.forget_at <= now))
        count = await self._session.scalar(select(func.count()).select_from(AttemptRow)) or 0
        if count > most:
            oldest = select(AttemptRow.key).order_by(AttemptRow.forget_at).limit(count - most)
            await self._session.execute(delete(AttemptRow).where(AttemptRow.key.in_(oldest)))

    async def _insert(self, values: dict[str, Any], update: dict[str, Any] | None) -> None:
        statement = insert_into(self._session, AttemptRow).values(**values)
        if update is None:
            statement = statement.on_conflict_do_nothing(index_elements=["key"])
        else:
            statement = statement.on_conflict_do_update(index_elements=["key"], set_=update)
        await self._session.execute(statement)
