"""The access floor on a real database."""

import pytest

from bartizan.foundation.clock import ManualClock
from bartizan.foundation.database import Database
from tests.harness.access import Floor, build


@pytest.fixture
def floor(database: Database, clock: ManualClock) -> Floor:
    return build(database, clock)
