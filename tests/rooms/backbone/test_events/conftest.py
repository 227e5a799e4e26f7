"""Events of its own for each test."""

import pytest

from bartizan.backbone.events import Events
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.database import Database


@pytest.fixture
def events(database: Database, clock: ManualClock) -> Events:
    return Events(database, clock=clock)
