"""Ways to put Bartizan in front of an application, one file for each framework."""

from .asgi import Platform, Wrapped, alone, wrap
from .fastapi import attach

__all__ = ["Platform", "Wrapped", "alone", "attach", "wrap"]
