"""A started house, an organization with people in it, and a short way to ask as one of them."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import pytest

from bartizan.access.identity import UserChanges
from bartizan.access.ip_allowlist import IpRule, NewIpRule
from bartizan.doors.testing import Cast, Person
from bartizan.foundation import ids
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller, Origin, current
from bartizan.house import Bartizan

HOME = "203.0.113.9"
AWAY = "198.51.100.7"


@dataclass
class Acme:
    """An organization, and what its people do from where they are."""

    bz: Bartizan
    id: str
    owner: Person
    admin: Person
    member: Person

    async def caller(self, person: Person) -> Caller:
        """Who the gate takes a signed-in person for."""
        return (await self.bz.sessions.authenticate(person.token)).caller()

    async def rule(
        self, *addresses: str, by: Person | None = None, at: str | None = HOME, **fields: Any
    ) -> IpRule:
        """Make a rule as somebody at an address."""
        new = NewIpRule.model_validate({"addresses": list(addresses), **fields})
        with current.acting_as(await self.caller(by or self.owner)), current.receiving(seen(at)):
            return await self.bz.ip_allowlist.create(new)

    async def refused(self, ip: str | None, person: Person | None = None, how: str = "bearer") -> bool:
        """Whether the gate would refuse them there."""
        rules, caller = self.bz.ip_allowlist, await self.caller(person or self.member)
        return (rules.refuses_address(ip) or rules.refuses(ip, caller, how)) is not None


def seen(ip: str | None) -> Origin:
    """Where a request comes from."""
    return Origin(request_id=ids.new("req"), ip=ip, method="POST", path="/")


async def appoint(bz: Bartizan, person: Person) -> None:
    """Make somebody an operator of the platform."""
    with current.as_system():
        await bz.identity.update(person.id, UserChanges(is_operator=True))


@pytest.fixture
async def bz(bartizan_settings: dict[str, Any], clock: ManualClock) -> AsyncGenerator[Bartizan]:
    house = Bartizan(bartizan_settings, clock=clock)
    await house.start(embedded=False)
    yield house
    await house.stop()


@pytest.fixture
async def acme(bz: Bartizan) -> Acme:
    return await found(bz, "Acme")


async def found(bz: Bartizan, name: str) -> Acme:
    cast = Cast(bz)
    org_id = await cast.organization(name)
    people = {role: await cast.person(org_id, role) for role in ("owner", "admin", "member")}
    return Acme(bz, org_id, **people)
