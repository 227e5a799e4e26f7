"""A catalogue of permissions, for policies that are read without a server."""

from collections.abc import AsyncGenerator

import pytest

from bartizan.access.rbac import Rbac
from bartizan.backbone.events import Events
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.database import Database


@pytest.fixture
async def rbac() -> AsyncGenerator[Rbac]:
    """Roles and permissions, of which only the catalogue is asked."""
    database, clock = Database("sqlite://"), ManualClock()
    yield Rbac(database, Events(database, clock=clock), clock=clock)
    await database.close()
