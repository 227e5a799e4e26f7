"""Everything an operator can turn: typed, documented, and traceable to where it was set."""

from .bridge import BridgeSettings
from .errors import InvalidSettings, MissingService, NoSecretKey, UnsafeInProduction
from .guard import GuardSettings
from .house import HouseSettings
from .proxy import ProxySettings
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
    "BridgeSettings",
    "Environment",
    "GuardSettings",
    "HouseSettings",
    "InvalidSettings",
    "Loaded",
    "MissingService",
    "ModuleSection",
    "NoSecretKey",
    "Problem",
    "ProxySettings",
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
