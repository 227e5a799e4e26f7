"""The two walls between organizations."""

from .scope import EVERY, scope
from .wall import TenantWall

__all__ = ["EVERY", "TenantWall", "scope"]
