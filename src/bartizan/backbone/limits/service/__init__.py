"""Rules of limits."""

from .limits import READ, WRITE, How, Limits

__all__ = ["READ", "WRITE", "How", "Limits"]
