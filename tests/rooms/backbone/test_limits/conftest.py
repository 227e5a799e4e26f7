"""Limits on a real database, with time that moves when told to."""

from collections.abc import Callable
from typing import Any

import pytest

from bartizan.backbone.events import Envelope, Events
from bartizan.backbone.limits import Limits, LimitsSettings
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.database import Database

Build = Callable[..., Limits]


@pytest.fixture
def told() -> list[Envelope]:
    return []


@pytest.fixture
def events(database: Database, clock: ManualClock, told: list[Envelope]) -> Events:
    events = Events(database, clock=clock)
    events.listen("limit*", told.append)
    return events


@pytest.fixture
def build(database: Database, events: Events, clock: ManualClock) -> Build:
    """Give what builds the room with other settings, as another replica would have it."""

    def build(settings: dict[str, Any] | None = None, **more: Any) -> Limits:
        chosen = LimitsSettings.model_validate(settings or {})
        return Limits(database, events, chosen, **({"clock": clock} | more))

    return build


@pytest.fixture
def limits(build: Build) -> Limits:
    return build()
