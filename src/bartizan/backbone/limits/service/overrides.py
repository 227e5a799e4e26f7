"""The limits that organizations have of their own, as the way in needs them: at hand."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from bartizan.backbone.limits.store import EveryLimit
from bartizan.foundation.clock import Clock, Recent
from bartizan.foundation.database import Database
from bartizan.foundation.settings import Rate

from .routes import Routes

_MOST = 20_000


@dataclass(frozen=True, slots=True)
class Own:
    """What one organization has of its own."""

    rates: Mapping[tuple[str, str], Rate] = field(default_factory=dict[tuple[str, str], Rate])
    """By scope and target; the target is empty for what holds for the whole organization."""

    def rate(self, scope: str, target: str = "") -> Rate | None:
        """Give the rate that was set, or none."""
        return self.rates.get((scope, target))


class Overrides:
    """What organizations have of their own, remembered for seconds; at most 20,000, the oldest go first."""

    def __init__(self, database: Database, clock: Clock, *, seconds: float) -> None:
        self._database = database
        self._every = EveryLimit(database)
        self._known: Recent[str, Own] = Recent(clock, seconds=seconds, size=_MOST)
        self._routes: OrderedDict[str, Routes] = OrderedDict()

    async def of(self, org_id: str) -> Own:
        """Give what an organization has of its own, and keep its routes at hand."""
        own = self._known.get(org_id)
        if own is not None:
            return own
        generation = self._known.generation
        rates = {(scope, target): Rate.parse(text) for scope, target, text in await self._every.of(org_id)}
        own = Own(rates)
        if not self._database.in_transaction and generation == self._known.generation:
            self._known.put(org_id, own, generation)
            self._keep_routes(org_id, rates)
        return own

    @property
    def any_route(self) -> bool:
        """Whether any organization at hand limits a route."""
        return bool(self._routes)

    def routes(self, org_id: str) -> Routes | None:
        """Give the routes an organization limits; :meth:`of` was asked since the caller was last learnt.

        Organizations without such a route are not held. At the bound the one asked about longest ago goes:
        the gate remembers no more callers than this, so it asks again before the next request from there.
        """
        return self._routes.get(org_id)

    def drop(self, org_id: str) -> None:
        """Ask anew about an organization."""
        self._known.drop(lambda known: known == org_id)

    def _keep_routes(self, org_id: str, rates: Mapping[tuple[str, str], Rate]) -> None:
        found = {target: rate for (scope, target), rate in rates.items() if scope == "route"}
        self._routes.pop(org_id, None)
        if found:
            self._routes[org_id] = Routes(found)
            if len(self._routes) > _MOST:
                self._routes.popitem(last=False)
