"""The rules of the audit log."""

from .audit import EXPORT, READ, WRITE, Audit

__all__ = ["EXPORT", "READ", "WRITE", "Audit"]
