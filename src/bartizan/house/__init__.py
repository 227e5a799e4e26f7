"""The house: every room, built once, bottom floor first."""

from .house import Bartizan, Maintenance
from .inventory import ACCESS_CHANGES, APP, CAPABILITIES, VERSION
from .settings import Settings

__all__ = ["ACCESS_CHANGES", "APP", "CAPABILITIES", "VERSION", "Bartizan", "Maintenance", "Settings"]
