"""Is it alive, is it ready, and how is it doing: for load balancers, orchestrators and Prometheus."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bartizan.foundation.context import OperatorsOnly, current
from bartizan.foundation.errors import BartizanError
from bartizan.house import Bartizan

from .addresses import Ranges
from .problems import refusal


class Health:
    """The small public endpoints beside the API."""

    def __init__(self, house: Bartizan) -> None:
        """Answer for ``house``."""
        self._house = house
        self._scrapers = Ranges(house.settings.metrics_from)
        self.app = Starlette(
            routes=[
                Route("/health", self.ready),
                Route("/health/live", self.live),
                Route("/health/ready", self.ready),
                Route("/health/startup", self.ready),
                Route("/api/health", self.live),
                Route("/api/health/ready", self.ready),
                Route("/metrics", self.metrics),
                Route("/.well-known/jwks.json", self.jwks),
            ]
        )

    async def live(self, _request: Request) -> Response:
        """Tell that the process answers; nothing else is asked."""
        return JSONResponse({"status": "ok"})

    async def ready(self, _request: Request) -> Response:
        """Tell whether requests can be served: started, and the database answers."""
        checks = await self._house.readiness()
        well = all(checks.values())
        body = {"status": "ok" if well else "unavailable", "checks": checks}
        return JSONResponse(body, 200 if well else 503, {"cache-control": "no-store"})

    async def metrics(self, request: Request) -> Response:
        """Show the counters in Prometheus' text format, to operators and to the local machine."""
        peer = request.client.host if request.client else None
        caller = current.anyone
        if not self._scrapers.hold(peer) and not (caller and caller.operator):
            return refusal(
                OperatorsOnly("Metrics are for operators, and for the addresses that a setting names.")
            )
        body, kind = self._house.metrics.exposition(request.headers.get("accept", ""))
        return Response(body, media_type=kind)

    async def jwks(self, _request: Request) -> Response:
        """Publish the public keys that verify our access tokens (RFC 7517)."""
        try:
            keys = await self._house.signing_keys.jwks()
        except BartizanError:
            return JSONResponse({"keys": []}, 503)
        return JSONResponse(keys, headers={"cache-control": "public, max-age=300"})
