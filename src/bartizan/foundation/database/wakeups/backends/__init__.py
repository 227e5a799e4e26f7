"""Ways for processes to call each other. None of them has to be reliable: the table is looked at as well."""

from collections.abc import Callable, Sequence
from typing import Protocol

from sqlalchemy import Connection


class Bus(Protocol):
    """Carries short texts to every process that listens."""

    def within(self, connection: Connection, texts: Sequence[str]) -> None:
        """Send texts as part of a commit, where the bus is the database."""
        ...

    async def send(self, texts: Sequence[str]) -> None:
        """Send texts now, where the bus is something else."""
        ...

    async def listen(self, heard: Callable[[str], None], connected: Callable[[], None]) -> None:
        """Call ``connected`` once texts arrive, and ``heard`` for each; end or raise when no more can."""
        ...

    def doubt(self) -> None:
        """See whether the connection still lives: something was said that did not arrive."""
        ...

    async def close(self) -> None:
        """Let go of what sends."""
        ...
