"""Queries about preferences; the only file of the room that speaks SQL."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Select, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from bartizan.foundation import ids
from bartizan.foundation.database import Database
from bartizan.foundation.errors import Conflict

from .tables import GlobalPreferenceRow, PreferenceRow


class PreferenceStore:
    """The values set in one organization, or for the whole platform (no organization)."""

    def __init__(self, session: AsyncSession, org_id: str | None) -> None:
        self._session = session
        self._org_id = org_id

    async def values(self, database: Database, owner_id: str) -> Mapping[str, str]:
        """Read all that one owner set, as JSON texts by key.

        The organization need not be the caller's: a mail to somebody who is not signed in has its look.
        """
        if self._org_id is None:
            everything = await self._session.execute(
                select(GlobalPreferenceRow.key, GlobalPreferenceRow.value)
            )
            return {row.key: row.value for row in everything}
        with database.across_organizations():
            rows = (await self._session.scalars(self._mine().where(PreferenceRow.owner_id == owner_id))).all()
        return {row.key: row.value for row in rows}

    async def put(self, level: str, owner_id: str, key: str, value: str, now: datetime) -> str | None:
        """Write a value; give the one it replaces."""
        row = await self._find(owner_id, key)
        if row is not None:
            old, row.value, row.updated_at = row.value, value, now
            return old
        if self._org_id is None:
            self._session.add(GlobalPreferenceRow(key=key, value=value, updated_at=now))
        else:
            self._session.add(
                PreferenceRow(
                    id=ids.new("prf"),
                    org_id=self._org_id,
                    level=level,
                    owner_id=owner_id,
                    key=key,
                    value=value,
                    updated_at=now,
                )
            )
        try:
            await self._session.flush()
        except IntegrityError as error:
            message = "Somebody else set this preference at the same moment; read it and try again."
            raise Conflict(message, key=key) from error
        return None

    async def drop(self, owner_id: str, key: str) -> str | None:
        """Take a value away; give it, or none when there was none."""
        row = await self._find(owner_id, key)
        if row is not None:
            await self._session.delete(row)
            return row.value
        return None

    async def drop_owner(self, owner_id: str) -> None:
        """Take away all that one owner set."""
        await self._session.execute(
            delete(PreferenceRow).where(
                PreferenceRow.org_id == self._org_id, PreferenceRow.owner_id == owner_id
            )
        )

    async def _find(self, owner_id: str, key: str) -> PreferenceRow | GlobalPreferenceRow | None:
        if self._org_id is None:
            everywhere = select(GlobalPreferenceRow).where(GlobalPreferenceRow.key == key)
            return await self._session.scalar(everywhere.with_for_update())
        query = self._mine().where(PreferenceRow.owner_id == owner_id, PreferenceRow.key == key)
        return await self._session.scalar(query.with_for_update())

    def _mine(self) -> Select[PreferenceRow]:
        return select(PreferenceRow).where(PreferenceRow.org_id == self._org_id)
