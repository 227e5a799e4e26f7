"""Sessions that were found good a moment ago."""

from collections import OrderedDict
from collections.abc import Callable

from bartizan.access.sessions.types import Principal
from bartizan.foundation.clock import Clock

_MOST = 20_000


class Live:
    """Remembers at most 20,000 principals for seconds; the oldest go first.

    One that was looked up while something ended is not kept: it may be older than the ending.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._held: OrderedDict[str, tuple[float, Principal]] = OrderedDict()
        self.generation = 0

    def get(self, digest: str) -> Principal | None:
        """Give who a token lets in, if that is known and still holds."""
        found = self._held.get(digest)
        if found is None:
            return None
        if self._clock.monotonic() < found[0] and self._clock.now() < found[1].expires_at:
            return found[1]
        del self._held[digest]
        return None

    def put(self, digest: str, principal: Principal, generation: int) -> None:
        """Remember who a token lets in, as looked up in ``generation``."""
        if generation != self.generation or not self._seconds:
            return
        self._held[digest] = (self._clock.monotonic() + self._seconds, principal)
        self._held.move_to_end(digest)
        if len(self._held) > _MOST:
            self._held.popitem(last=False)

    def drop(self, which: Callable[[Principal], bool] | None = None) -> None:
        """Forget some, or everybody."""
        self.generation += 1
        if which is None:
            self._held.clear()
            return
        for digest in [digest for digest, (_, principal) in self._held.items() if which(principal)]:
            del self._held[digest]
