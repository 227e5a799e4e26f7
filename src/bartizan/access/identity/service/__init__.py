"""Rules of accounts and passwords."""

from bartizan.foundation.context import Permission

from .administration import Administration
from .breaches import BreachFile
from .passwords import Passwords
from .recovery import Recovery

__all__ = ["IMPERSONATE", "BreachFile", "Identity", "Passwords"]

IMPERSONATE = Permission(
    "identity:impersonate", "Act as another member for a quarter of an hour, on the record"
)


class Identity(Administration, Recovery):
    """People who can sign in, their passwords and their profiles: ``bz.identity``."""
