"""An audit log of its own for each test."""

import pytest

from bartizan.backbone.audit import (
    Audit,
)
from bartizan.backbone.events import Events
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.crypto import Keyring
from bartizan.foundation.database import Database


@pytest.fixture
def events(database: Database, clock: ManualClock) -> Events:
    return Events(database, clock=clock)


@pytest.fixture
def keyring() -> Keyring:
    return Keyring(["k" * 43])


@pytest.fixture
def audit(database: Database, events: Events, keyring: Keyring, clock: ManualClock) -> Audit:
    return Audit(database, events, keyring, clock=clock)
