"""The gate in front of every request: who, from where, and may they."""

from .callers import Callers, Credential
from .gate import Guard
from .policy import Policy

__all__ = ["Callers", "Credential", "Guard", "Policy"]
