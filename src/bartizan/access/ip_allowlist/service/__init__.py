"""The rules of this room: what is written, what holds, who was refused, and who would be."""

from .ip_allowlist import IpAllowlist
from .rules import PERMISSIONS

__all__ = ["PERMISSIONS", "IpAllowlist"]
