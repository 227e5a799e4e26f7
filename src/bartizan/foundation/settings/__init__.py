"""Everything an operator can turn: typed, documented, and traceable to where it was set."""

from .errors import InvalidSettings, MissingService, NoSecretKey, UnsafeInProduction
from .guard import GuardSettings
from .house import HouseSettings
from .rate import MICROSECOND, Rate
from .service import (
    banner,
    check_production,
    describe,
    development_key,
    fall_back,
    load,
    secret_keys,
    toggles,
    unsafe_in_production,
)
from .types import BaseSettings, Environment, Loaded, ModuleSection, Problem, Section, SettingRow, rules

__all__ = [
    "MICROSECOND",
    "BaseSettings",
    "Environment",
    "GuardSettings",
    "HouseSettings",
    "InvalidSettings",
    "Loaded",
    "MissingService",
    "ModuleSection",
    "NoSecretKey",
    "Problem",
    "Rate",
    "Section",
    "SettingRow",
    "UnsafeInProduction",
    "banner",
    "check_production",
    "describe",
    "development_key",
    "fall_back",
    "load",
    "rules",
    "secret_keys",
    "toggles",
    "unsafe_in_production",
]
