"""The gate in front of every request: who, from where, and may they."""

from .callers import Callers, Credential
from .gate import Guard
from .policy import APP_READ, APP_WRITE, Policy

__all__ = ["APP_READ", "APP_WRITE", "Callers", "Credential", "Guard", "Policy"]
