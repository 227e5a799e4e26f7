"""A served house with two organizations: Acme attacks, Globex must not notice."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import pytest

from bartizan.doors.frameworks import Wrapped
from tests.attacks.wire.world import MARK, Company, Operation, company, house, operations


@dataclass(frozen=True)
class World:
    app: Wrapped
    acme: Company
    globex: Company
    operations: list[Operation]


@pytest.fixture
async def app(bartizan_settings: dict[str, Any]) -> AsyncGenerator[Wrapped]:
    app = await house(bartizan_settings)
    yield app
    await app.bz.stop()


@pytest.fixture
async def world(app: Wrapped) -> World:
    acme, globex = await company(app, "Acme"), await company(app, "Globex", MARK)
    return World(app, acme, globex, operations(app.bz))
