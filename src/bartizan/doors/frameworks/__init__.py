"""Ways to put Bartizan in front of an application, one file for each framework."""

from .asgi import Platform, Wrapped, alone, wrap
from .fastapi import attach
from .wsgi import Wsgi, speaks_wsgi

__all__ = ["Platform", "Wrapped", "Wsgi", "alone", "attach", "speaks_wsgi", "wrap"]
