"""What a route of the app needs: decorators, a policy file, settings, and a default that denies."""

from .decisions import NOBODY, NOTHING, SAFE, Policy, Verdict, policy_file
from .errors import InvalidPolicy
from .file import FILE, PolicyFile
from .marks import public, requires
from .survey import SOCKET, HostRoute, survey

__all__ = [
    "FILE",
    "NOBODY",
    "NOTHING",
    "SAFE",
    "SOCKET",
    "HostRoute",
    "InvalidPolicy",
    "Policy",
    "PolicyFile",
    "Verdict",
    "policy_file",
    "public",
    "requires",
    "survey",
]
