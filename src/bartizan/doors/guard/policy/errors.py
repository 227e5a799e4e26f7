"""How a policy refuses to be used."""

from collections.abc import Sequence

from bartizan.foundation.errors import Fault


class InvalidPolicy(Fault):
    """The policy of the routes cannot be used as it is written."""

    def __init__(self, problems: Sequence[str]) -> None:
        """List every problem at once, each with the place where it is."""
        super().__init__("\n".join([self.title, *(f"  {p}" for p in problems)]), problems=list(problems))
