"""How this room refuses."""

from bartizan.foundation.errors import Invalid, NotFound


class UnknownPreference(NotFound):
    """No preference of this name is declared."""


class LevelNotAllowed(Invalid):
    """This preference cannot be set at this level."""


class InvalidPreference(Invalid):
    """The value does not fit the preference's type."""
