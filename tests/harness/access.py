"""Rooms of the access floor, built on a real database, and people to try them with."""

import itertools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bartizan.access.api_keys import ApiKeys
from bartizan.access.orgs import NewOrganization, Orgs, OrgsSettings
from bartizan.access.rbac import Rbac
from bartizan.backbone.events import Envelope, Events
from bartizan.foundation import ids
from bartizan.foundation.capability import Event
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller, current
from bartizan.foundation.crypto import Keyring
from bartizan.foundation.database import Database

SECRET_KEYS = ["the only secret key of the tests"]


@dataclass(frozen=True)
class Somebody:
    id: str
    email: str
    full_name: str | None = None
    is_active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class UserDeactivated(Event):
    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UserReactivated(Event):
    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UserDeleted(Event):
    user_id: str


@dataclass
class Town:
    """The people there are, and the letters they were sent: what identity and email give this floor."""

    database: Database
    events: Events
    registered: dict[str, Somebody] = field(default_factory=dict)
    letters: list[Mapping[str, Any]] = field(default_factory=list)

    def register(self, name: str) -> Somebody:
        person = Somebody(ids.new("usr"), f"{name}@acme.example", name.capitalize())
        self.registered[person.id] = person
        return person

    async def people(self, user_ids: Collection[str]) -> Mapping[str, Somebody]:
        return {user_id: self.registered[user_id] for user_id in user_ids if user_id in self.registered}

    async def by_email(self, email: str) -> Somebody | None:
        return next((person for person in self.registered.values() if person.email == email), None)

    async def send(
        self, *, to: str, template: str, data: Mapping[str, Any] | None = None, org_id: str | None = None
    ) -> str:
        letter = {"to": to, "template": template, "org_id": org_id, **(data or {})}
        self.database.after_commit(lambda: self.letters.append(letter))
        return ids.new("eml")

    async def deactivate(self, user_id: str) -> None:
        async with self.database.transaction():
            await self.events.announce(UserDeactivated(user_id=user_id), org_id=None)
        self.registered[user_id] = replace(self.registered[user_id], is_active=False)

    async def reactivate(self, user_id: str) -> None:
        async with self.database.transaction():
            await self.events.announce(UserReactivated(user_id=user_id), org_id=None)
        self.registered[user_id] = replace(self.registered[user_id], is_active=True)

    async def delete(self, user_id: str) -> None:
        async with self.database.transaction():
            await self.events.announce(UserDeleted(user_id=user_id), org_id=None)
        del self.registered[user_id]


@dataclass
class Floor:
    """The access floor as far as these tests need it."""

    database: Database
    events: Events
    town: Town
    rbac: Rbac
    orgs: Orgs
    api_keys: ApiKeys
    clock: ManualClock
    told: list[Envelope] = field(default_factory=list)
    names: Iterator[int] = field(default_factory=itertools.count)

    async def organization(self, name: str = "Acme", owner: Somebody | None = None) -> "Company":
        owner = owner or self.town.register(f"{name.lower()}-owner{next(self.names)}")
        made = await self.orgs.create(NewOrganization(name=name), owner_id=owner.id)
        return Company(self, made.id, made.slug, owner)

    async def caller(self, user_id: str, org_id: str, team_id: str | None = None) -> Caller:
        effective = await self.rbac.effective(user_id, org_id, team_id)
        person = self.town.registered.get(user_id)
        return Caller(
            id=user_id,
            kind="user",
            org_id=org_id,
            team_id=team_id,
            permissions=effective.permissions,
            roles=effective.roles,
            user_id=user_id,
            email=person.email if person else None,
        )

    def heard(self, type_: str) -> list[Envelope]:
        return [envelope for envelope in self.told if envelope.type == type_]


@dataclass
class Company:
    floor: Floor
    id: str
    slug: str
    owner: Somebody

    async def caller(self, person: Somebody | None = None, team_id: str | None = None) -> Caller:
        return await self.floor.caller((person or self.owner).id, self.id, team_id)

    async def hire(self, name: str, role: str = "member") -> Somebody:
        person = self.floor.town.register(f"{name}{next(self.floor.names)}")
        with current.as_system(self.id):
            await self.floor.orgs.members.join(person.id, role, org_id=self.id, source="added")
        return person

    async def default_team(self) -> str:
        with current.as_system(self.id):
            return next(team.id for team in (await self.floor.orgs.teams.list()).items if team.is_default)


def build(database: Database, clock: ManualClock, settings: OrgsSettings | None = None) -> Floor:
    events = Events(database, clock=clock)
    town = Town(database, events)
    rbac = Rbac(database, events, clock=clock)
    orgs = Orgs(database, events, rbac=rbac, people=town, post=town, clock=clock, settings=settings)
    keys = ApiKeys(database, events, rbac=rbac, orgs=orgs, keyring=Keyring(SECRET_KEYS), clock=clock)
    floor = Floor(database, events, town, rbac, orgs, keys, clock)
    events.listen("*", floor.told.append)
    return floor
