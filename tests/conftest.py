"""What every test gets: a clock, a database and a house of its own, on SQLite and on PostgreSQL."""

import logging
import secrets
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.harness.processes import MANY

# A shared machine may be slow at any moment: how long an example takes says nothing about it.
settings.register_profile(
    "suite", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("suite")

pytest_plugins = [
    "tests.harness.databases",
    "tests.harness.features",
    "tests.harness.redis_server",
    "bartizan.doors.testing",
]


@pytest.fixture
def bartizan_settings(database_url: str, tmp_path: Path) -> dict[str, Any]:
    """Settings of a house on each database; the tables are there already."""
    return {
        "environment": "test",
        "database": database_url,
        "data_dir": str(tmp_path / "bartizan"),
        "secret_key": secrets.token_urlsafe(48),
        "base_url": "http://app.test",
        "embedded_worker": False,
        "limits": {"organization": MANY, "user": MANY, "browser": MANY, "address": MANY},
        "email": {"backend": "file", "folder": str(tmp_path / "mail")},
    }


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Generator[None]:
    """Undo what a started house does to the logs, which are the process's: the next test listens to them."""
    tree = logging.getLogger("bartizan")
    handlers, level, propagate = tree.handlers[:], tree.level, tree.propagate
    yield
    tree.handlers[:], tree.propagate = handlers, propagate
    tree.setLevel(level)
