"""Configuration that differs by organization, team and person: the nearest value wins."""

from .errors import InvalidPreference, LevelNotAllowed, UnknownPreference
from .events import PreferenceChanged
from .service import Preferences
from .types import Effective, Level, Preference, PreferenceChange, Where

__all__ = [
    "Effective",
    "InvalidPreference",
    "Level",
    "LevelNotAllowed",
    "Preference",
    "PreferenceChange",
    "PreferenceChanged",
    "Preferences",
    "UnknownPreference",
    "Where",
]
