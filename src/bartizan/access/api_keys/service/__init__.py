"""Rules of API keys."""

from .api_keys import PERMISSIONS, ApiKeys

__all__ = ["PERMISSIONS", "ApiKeys"]
