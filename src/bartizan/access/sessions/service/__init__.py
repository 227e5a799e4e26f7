"""Rules of sessions and tokens."""

from .endings import Endings
from .entrance import Entrance
from .impersonation import Impersonations
from .oversight import END, READ, Oversight
from .recognition import Recognition

__all__ = ["END", "READ", "Sessions"]


class Sessions(Entrance, Recognition, Oversight, Impersonations, Endings):
    """Who is signed in, where, and as whom: ``bz.sessions``."""
