"""Accounts on a real database, with letters in a file."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from bartizan.access.identity import Identity, User
from bartizan.backbone.events import Events
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.database import Database
from tests.rooms.access.people import Letters, Told, new_identity, person


@pytest.fixture
def letters(tmp_path: Path) -> Letters:
    return Letters(tmp_path / "letters")


@pytest.fixture
def events(database: Database, clock: ManualClock) -> Events:
    return Events(database, clock=clock)


@pytest.fixture
def told(events: Events) -> Told:
    return Told(events)


@pytest.fixture
async def identity(
    database: Database, events: Events, letters: Letters, clock: ManualClock
) -> AsyncGenerator[Identity]:
    identity = new_identity(database, events, letters, clock)
    yield identity
    identity.close()


@pytest.fixture
async def ada(identity: Identity) -> User:
    return await person(identity, username="Ada", full_name="Ada Lovelace")


@pytest.fixture
async def root(identity: Identity) -> User:
    return await person(identity, "root@example.com", operator=True)
