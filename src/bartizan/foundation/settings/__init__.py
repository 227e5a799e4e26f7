"""Everything an operator can turn: typed, documented, and traceable to where it was set."""

from .bridge import BridgeSettings
from .errors import InvalidSettings, MissingService, NoSecretKey, UnsafeInProduction
from .guard import GuardSettings
from .proxy import ProxySettings
from .service import (
    banner,
    check_production,
    describe,
    development_key,
    fall_back,
    load,
    secret_keys,
    toggles,
)
from .types import BaseSettings, Environment, Loaded, ModuleSection, Problem, Section, SettingRow, rules

__all__ = [
    "BaseSettings",
    "BridgeSettings",
    "Environment",
    "GuardSettings",
    "InvalidSettings",
    "Loaded",
    "MissingService",
    "ModuleSection",
    "NoSecretKey",
    "Problem",
    "ProxySettings",
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
]
