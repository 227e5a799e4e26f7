"""The two walls between organizations."""

from .scope import EVERY, scope
from .wall import TenantWall, WalledSession

__all__ = ["EVERY", "TenantWall", "WalledSession", "scope"]
