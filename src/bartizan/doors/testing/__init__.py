"""Fixtures for people who build on us: ``pytest_plugins = ["bartizan.doors.testing"]``.

``bartizan_settings`` gives settings for a throw-away installation on SQLite (override it for PostgreSQL),
``bz`` a started house, ``cast`` makes organizations and people in it and clients that act as them, and
``bartizan_leaks`` walks an application as two tenants. ``pytest --bartizan-leaks module:app`` does so
without a test of one's own.
"""

from .cast import Cast, Person, anyone, browser, program
from .fixtures import bartizan_settings, bz, cast
from .leaks import Leak, Make, Report, find_leaks
from .plugin import FindLeaks, bartizan_leaks, pytest_addoption, pytest_collection_modifyitems

__all__ = [
    "Cast",
    "FindLeaks",
    "Leak",
    "Make",
    "Person",
    "Report",
    "anyone",
    "bartizan_leaks",
    "bartizan_settings",
    "browser",
    "bz",
    "cast",
    "find_leaks",
    "program",
    "pytest_addoption",
    "pytest_collection_modifyitems",
]
