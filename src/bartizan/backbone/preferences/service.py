"""Rules of preferences."""

import json
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bartizan.backbone.events import Events
from bartizan.foundation import ids
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import Permission, current
from bartizan.foundation.database import Database

from .errors import InvalidPreference, LevelNotAllowed, UnknownPreference
from .events import PreferenceChanged
from .store import PreferenceStore
from .types import LEVELS, Effective, Level, OwnerId, Preference, PreferenceChange, Where

READ = Permission("preferences:read", "See the preferences of other people and teams")
WRITE = Permission("preferences:write", "Set preferences of the organization, its teams and its people")

_KEY = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
_FRESH = 5.0
_MOST_CACHED = 10_000
_MOST_BYTES = 16_384
_GLOBAL = "global"
_PREFIX = {"team": "tea", "user": "usr"}


@dataclass(frozen=True, slots=True)
class _Declared:
    preference: Preference
    adapter: TypeAdapter[Any]


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where values live: an owner within an organization, or the whole platform."""

    org_id: str | None
    owner_id: str


@dataclass(frozen=True, slots=True)
class _Cached:
    values: Mapping[str, str]
    until: float


class Preferences:
    """Hierarchical configuration: ``bz.preferences``. Global < organization < team < person.

    A person's value counts in the organization in which it was set. What was read is kept for at most five
    seconds, and in this process dropped as soon as a change commits.
    """

    def __init__(self, database: Database, events: Events, *, clock: Clock | None = None) -> None:
        self._database = database
        self._events = events
        self._clock = clock or Clock()
        self._declared: dict[str, _Declared] = {}
        self._cache: OrderedDict[_Spot, _Cached] = OrderedDict()
        self._changing: dict[_Spot, float] = {}

    def declare(self, preference: Preference) -> None:
        """Make a key known. The default is checked against the type; a second declaration is refused."""
        key = preference.key
        if not _KEY.fullmatch(key):
            message = f"{key!r} is not a preference key: use lower-case words joined by dots."
            raise ValueError(message)
        if key in self._declared:
            message = f"The preference {key!r} is declared twice."
            raise ValueError(message)
        adapter = TypeAdapter[Any](preference.type)
        adapter.validate_python(preference.default)
        self._declared[key] = _Declared(preference, adapter)

    async def get_effective(self, key: str, where: Where | None = None) -> Any:
        """Give the value that holds: the nearest one set, or the default, in the preference's own type.

        Without ``where`` it is what holds for the caller. For code; doors use :meth:`get` and :meth:`list`.
        """
        declared = self._known(key)
        found, _ = await self._resolve(declared, _here() if where is None else where)
        return found

    async def list(self) -> Sequence[Effective]:
        """List every preference as it holds for the caller, by key."""
        where = _where_asked(None, None)
        return [await self._effective(self._declared[key], where) for key in sorted(self._declared)]

    async def get(self, key: str, level: Level | None = None, owner_id: OwnerId = None) -> Effective:
        """Tell how a preference holds for the caller or, by level, for others."""
        return await self._effective(self._known(key), _where_asked(level, owner_id))

    async def set(
        self, key: str, new: PreferenceChange, level: Level = "user", owner_id: OwnerId = None
    ) -> Effective:
        """Set a preference at one level; at once here, within five seconds everywhere.

        One's own needs no permission, the platform's takes an operator, all else ``preferences:write``.
        """
        declared = self._known(key)
        spot = _writable(declared.preference, level, owner_id)
        try:
            value = declared.adapter.dump_json(declared.adapter.validate_python(new.value)).decode()
        except ValidationError as error:
            problems = [{"field": "value", "message": problem["msg"]} for problem in error.errors()]
            raise InvalidPreference(field="value", key=key, errors=problems) from error
        if len(value) > _MOST_BYTES:
            message = f"The value is larger than {_MOST_BYTES} bytes."
            raise InvalidPreference(message, field="value", key=key)
        async with self._database.transaction() as session:
            store = PreferenceStore(session, spot.org_id)
            old = await store.put(level, spot.owner_id, key, value, self._clock.now())
            if old != value:
                await self._announce(declared.preference, level, spot, old, value)
            self._refresh([spot])
        return await self._effective(declared, _around(level, spot))

    async def unset(self, key: str, level: Level = "user", owner_id: OwnerId = None) -> None:
        """Take the value of one level away, so that the next one holds again. Fine if there is none."""
        declared = self._known(key)
        spot = _writable(declared.preference, level, owner_id)
        async with self._database.transaction() as session:
            old = await PreferenceStore(session, spot.org_id).drop(spot.owner_id, key)
            if old is not None:
                await self._announce(declared.preference, level, spot, old, None)
                self._refresh([spot])

    async def _effective(self, declared: _Declared, where: Where) -> Effective:
        preference = declared.preference
        value, level = await self._resolve(declared, where)
        return Effective(
            key=preference.key,
            value=declared.adapter.dump_python(value, mode="json"),
            level=level,
            default=declared.adapter.dump_python(preference.default, mode="json"),
            description=preference.description,
            levels=[level for level in LEVELS if level in preference.levels],
        )

    async def _resolve(self, declared: _Declared, where: Where) -> tuple[Any, Level | None]:
        """Look from the nearest level outwards."""
        preference = declared.preference
        for level, spot in _spots(where):
            if level not in preference.levels:
                continue
            text = (await self._values(spot)).get(preference.key)
            if text is None:
                continue
            try:
                return declared.adapter.validate_json(text), level
            except ValidationError:
                continue  # the type was narrowed since it was set: the next level holds
        return preference.default, None

    async def _values(self, spot: _Spot) -> Mapping[str, str]:
        now = self._clock.monotonic()
        changing = self._changing.get(spot, -1.0) > now
        if not changing and (cached := self._cache.get(spot)) and cached.until > now:
            self._cache.move_to_end(spot)
            return cached.values
        async with self._database.reading() as session:
            values = await PreferenceStore(session, spot.org_id).values(self._database, spot.owner_id)
        if not self._database.in_transaction and self._changing.get(spot, -1.0) <= now:
            self._cache[spot] = _Cached(values, now + _FRESH)
            while len(self._cache) > _MOST_CACHED:
                self._cache.popitem(last=False)
        return values

    def _refresh(self, spots: Iterable[_Spot]) -> None:
        """Keep nothing of these while the transaction may still change or vanish, nor for a moment after.

        A reader that started before the commit must not leave what it saw behind.
        """
        now = self._clock.monotonic()
        if len(self._changing) > _MOST_CACHED:
            self._changing = {spot: until for spot, until in self._changing.items() if until > now}
        for spot in spots:
            self._changing[spot] = now + _FRESH
            self._cache.pop(spot, None)
        dropped = tuple(spots)
        self._database.after_commit(lambda: self._drop(dropped))

    def _drop(self, spots: Iterable[_Spot]) -> None:
        for spot in spots:
            self._cache.pop(spot, None)

    async def _announce(
        self, preference: Preference, level: Level, spot: _Spot, old: str | None, new: str | None
    ) -> None:
        before = None if old is None else json.loads(old)
        after = None if new is None else json.loads(new)
        owner_id = None if level == "global" else spot.owner_id
        if preference.personal:
            event = PreferenceChanged(
                preference=preference.key,
                level=level,
                owner_id=owner_id,
                personal_old=before,
                personal_new=after,
            )
        else:
            event = PreferenceChanged(
                preference=preference.key, level=level, owner_id=owner_id, old=before, new=after
            )
        await self._events.announce(event, org_id=spot.org_id)

    def _known(self, key: str) -> _Declared:
        if declared := self._declared.get(key):
            return declared
        raise UnknownPreference(key=key[:80])


def _here() -> Where:
    caller = current.anyone
    if caller is None:
        return Where()
    return Where(org_id=caller.org_id, team_id=caller.team_id, user_id=caller.user_id)


def _where_asked(level: Level | None, owner_id: str | None) -> Where:
    """Say for whom a door asks, and check that the caller may know."""
    caller = current.caller
    if level is None or (level == "user" and owner_id in (None, caller.user_id)):
        return _here()
    if level == "global":
        return Where()
    if level == "organization":
        _only_ours(owner_id)
        return Where(org_id=current.org_id)
    current.require(READ)
    if level == "team":
        return Where(org_id=current.org_id, team_id=owner_id or caller.team_id)
    return Where(org_id=current.org_id, user_id=owner_id)


def _only_ours(owner_id: str | None) -> None:
    if owner_id not in {None, current.org_id}:
        message = "An organization has preferences of its own only."
        raise LevelNotAllowed(message, field="owner_id")


def _writable(preference: Preference, level: Level, owner_id: str | None) -> _Spot:
    """Check that the caller may write here; give the place."""
    if level not in preference.levels:
        raise LevelNotAllowed(field="level", key=preference.key, levels=sorted(preference.levels))
    caller = current.caller
    if level == "global":
        current.require_operator()
        return _Spot(None, _GLOBAL)
    if level == "user" and owner_id in (None, caller.user_id) and caller.kind != "key":
        return _Spot(current.org_id, current.user_id)
    current.require(WRITE)
    if level == "organization":
        _only_ours(owner_id)
        return _Spot(current.org_id, current.org_id)
    owner = owner_id or (caller.team_id if level == "team" else caller.user_id)
    if owner is None or not ids.valid(owner, _PREFIX[level]):
        message = f"Say for which {level} by its id."
        raise LevelNotAllowed(message, field="owner_id", key=preference.key)
    return _Spot(current.org_id, owner)


def _spots(where: Where) -> Sequence[tuple[Level, _Spot]]:
    """Give the places that have a say, the nearest first."""
    spots: list[tuple[Level, _Spot]] = []
    if where.org_id is not None:
        if where.user_id is not None:
            spots.append(("user", _Spot(where.org_id, where.user_id)))
        if where.team_id is not None:
            spots.append(("team", _Spot(where.org_id, where.team_id)))
        spots.append(("organization", _Spot(where.org_id, where.org_id)))
    spots.append(("global", _Spot(None, _GLOBAL)))
    return spots


def _around(level: Level, spot: _Spot) -> Where:
    """Say for whom the answer to a change is told."""
    if spot.org_id is None:
        return Where()
    return Where(
        org_id=spot.org_id,
        team_id=spot.owner_id if level == "team" else None,
        user_id=spot.owner_id if level == "user" else None,
    )
