"""Fixtures for people who build on us: ``pytest_plugins = ["bartizan.doors.testing"]``.

``bartizan_settings`` gives settings for a throw-away installation on SQLite (override it for PostgreSQL),
``bz`` a started house, ``cast`` makes organizations and people in it and clients that act as them.
"""

from .cast import Cast, Person, anyone, browser, program
from .fixtures import bartizan_settings, bz, cast

__all__ = ["Cast", "Person", "anyone", "bartizan_settings", "browser", "bz", "cast", "program"]
