"""The access floor as far as sessions, on a real database."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from bartizan.foundation.clock import ManualClock
from bartizan.foundation.database import Database
from tests.rooms.access.people import Access, access


@pytest.fixture
async def floor(database: Database, clock: ManualClock, tmp_path: Path) -> AsyncGenerator[Access]:
    floor = access(database, clock, tmp_path / "letters")
    yield floor
    floor.identity.close()
