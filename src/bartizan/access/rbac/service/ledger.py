"""What is known about roles and who has them: read from the database, remembered for seconds."""

from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from typing import TypeVar

from bartizan.access.rbac.settings import RbacSettings
from bartizan.access.rbac.store import RbacStore
from bartizan.access.rbac.types import Effective
from bartizan.foundation.clock import Clock, Recent
from bartizan.foundation.database import Database

from .catalogue import Catalogue

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
Key = tuple[str, str, str]


class Ledger:
    """Computes what people may do, and forgets at once what a change has made untrue."""

    def __init__(
        self, database: Database, catalogue: Catalogue, *, clock: Clock, settings: RbacSettings
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        seconds, size = settings.cache_seconds, settings.cache_size
        self._effective: Recent[Key, Effective] = Recent(clock, seconds=seconds, size=size)
        self._custom: Recent[str, Mapping[str, frozenset[str]]] = Recent(clock, seconds=seconds, size=size)

    async def effective(self, user_id: str, org_id: str, team_id: str | None = None) -> Effective:
        """Give what the person may do in the organization, or inside one of its teams."""
        return await self._remembered(
            self._effective, (org_id, user_id, team_id or ""), lambda: self._compute(user_id, org_id, team_id)
        )

    async def custom(self, org_id: str) -> Mapping[str, frozenset[str]]:
        """Give the organization's own roles and what they hold."""
        return await self._remembered(self._custom, org_id, lambda: self._load(org_id))

    async def permissions_of(self, role: str, org_id: str, *, team: bool = False) -> frozenset[str] | None:
        """Give what a role holds; none when there is no such role. Teams have the built-in ones only."""
        pack = self._catalogue.pack(role, team=team)
        return pack if pack is not None or team else (await self.custom(org_id)).get(role)

    async def known(self, org_id: str, *, team: bool = False) -> dict[str, frozenset[str]]:
        """Give every role of an organization or team, and what it holds."""
        built_in = {
            name: self._catalogue.pack(name, team=team) for name in self._catalogue.built_in(team=team)
        }
        known = {name: pack for name, pack in built_in.items() if pack is not None}
        return known if team else {**known, **await self.custom(org_id)}

    def changed(self, org_id: str, user_id: str | None = None) -> None:
        """Forget a person or a whole organization, now and again once the change has committed.

        The second time is for whoever read the old state while the change was under way.
        """
        self._drop(org_id, user_id)
        self._database.after_commit(lambda: self._drop(org_id, user_id))

    def forget(self) -> None:
        """Forget everything: the catalogue has changed."""
        self._effective.drop()
        self._custom.drop()

    def _drop(self, org_id: str, user_id: str | None) -> None:
        self._effective.drop(lambda key: key[0] == org_id and user_id in (None, key[1]))
        if user_id is None:
            self._custom.drop(lambda key: key == org_id)

    async def _compute(self, user_id: str, org_id: str, team_id: str | None) -> Effective:
        async with self._database.reading() as session:
            store = RbacStore(self._database, session, org_id)
            held = await store.held(user_id, team_id)
            roles = frozenset(role for team, role in held if not team)
            if not roles:  # a team's roles count for people of the organization only
                return Effective()
            if "owner" in roles:
                return Effective(roles, self._catalogue.names())
            exceptions = await store.exceptions(user_id)
            permissions = await self._union(org_id, held)
        permissions |= {name for name, allowed in exceptions if allowed} & self._catalogue.names()
        return Effective(
            roles, frozenset(permissions - {name for name, allowed in exceptions if not allowed})
        )

    async def _union(self, org_id: str, held: Iterable[tuple[str, str]]) -> set[str]:
        permissions: set[str] = set()
        for team, role in held:
            permissions |= await self.permissions_of(role, org_id, team=bool(team)) or frozenset()
        return permissions

    async def _load(self, org_id: str) -> Mapping[str, frozenset[str]]:
        async with self._database.reading() as session:
            rows = await RbacStore(self._database, session, org_id).roles()
        declared = self._catalogue.names()
        return {row.name: declared.intersection(row.permissions) for row in rows}

    async def _remembered(self, recent: Recent[K, V], key: K, ask: Callable[[], Awaitable[V]]) -> V:
        if self._database.in_transaction:  # what is seen in here may never be committed
            return await ask()
        found = recent.get(key)
        if found is None:
            generation = recent.generation
            found = await ask()
            recent.put(key, found, generation)
        return found
