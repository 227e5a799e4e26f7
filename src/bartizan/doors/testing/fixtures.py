"""A house for every test."""

import secrets
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from bartizan.house import Bartizan

from .cast import Cast


@pytest.fixture
def bartizan_settings(tmp_path: Path) -> dict[str, Any]:
    """Settings of a throw-away installation: SQLite in the test's own folder, e-mail into files."""
    return {
        "environment": "test",
        "database": f"sqlite:///{tmp_path}/bartizan.db",
        "data_dir": str(tmp_path / "bartizan"),
        "secret_key": secrets.token_urlsafe(48),
        "base_url": "http://app.test",
    }


@pytest.fixture
async def bz(bartizan_settings: dict[str, Any]) -> AsyncGenerator[Bartizan]:
    """Give a started house, without a worker."""
    house = Bartizan(bartizan_settings)
    await house.start(embedded=False)
    yield house
    await house.stop()


@pytest.fixture
def cast(bz: Bartizan) -> Cast:
    """Give what makes organizations, people and clients."""
    return Cast(bz)
