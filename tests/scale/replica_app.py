"""One replica of a small application behind the gate."""

from bartizan.doors.frameworks import Wrapped, wrap
from tests.doors.hosts import echo


def create() -> Wrapped:
    """Make it, by the settings of the environment."""
    return wrap(echo())
