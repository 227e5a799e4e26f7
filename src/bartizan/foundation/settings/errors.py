"""How settings refuse to start a house."""

from collections.abc import Mapping, Sequence

from bartizan.foundation.errors import Fault, Unavailable


class InvalidSettings(Fault):
    """Some settings cannot be used as given."""

    def __init__(self, problems: Sequence[Mapping[str, str]]) -> None:
        """List every problem at once: its ``name`` as an operator would type it, ``reason`` and ``cure``."""
        lines = [f"  {p['name']}: {p['reason']} {p['cure']}".rstrip() for p in problems]
        super().__init__("\n".join([self.title, *lines]), problems=[dict(p) for p in problems])


class UnsafeInProduction(InvalidSettings):
    """These settings are not safe in production."""


class NoSecretKey(Fault):
    """There is no secret key, and none could be kept."""


class MissingService(Unavailable):
    """A service that the settings ask for does not answer."""
