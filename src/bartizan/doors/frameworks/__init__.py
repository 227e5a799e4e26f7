"""Ways to put Bartizan in front of an application, one file for each framework."""

from .asgi import Platform, Wrapped, alone, wrap
from .fastapi import attach
from .routes import Served, host_of, routes_of
from .wsgi import Wsgi, speaks_wsgi

__all__ = [
    "Platform",
    "Served",
    "Wrapped",
    "Wsgi",
    "alone",
    "attach",
    "host_of",
    "routes_of",
    "speaks_wsgi",
    "wrap",
]
