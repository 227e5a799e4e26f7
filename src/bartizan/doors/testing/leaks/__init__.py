"""The leak matrix: walks an application's own routes as two tenants, and reports every crossing."""

from .report import Leak, Report, Request, Unexercised
from .run import NotAttached, NotHere, find_leaks
from .tenants import Make

__all__ = ["Leak", "Make", "NotAttached", "NotHere", "Report", "Request", "Unexercised", "find_leaks"]
