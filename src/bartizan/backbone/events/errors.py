"""How this room refuses."""

from bartizan.foundation.errors import NotFound


class UnknownEvent(NotFound):
    """No such event in this organization."""
