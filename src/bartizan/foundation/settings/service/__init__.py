"""Loads settings, says where they came from, and refuses what is not safe."""

from .describing import banner, describe, toggles
from .keys import development_key, secret_keys
from .loading import load
from .production import check_production, fall_back, unsafe_in_production

__all__ = [
    "banner",
    "check_production",
    "describe",
    "development_key",
    "fall_back",
    "load",
    "secret_keys",
    "toggles",
    "unsafe_in_production",
]
