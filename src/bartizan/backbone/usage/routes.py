"""Usage over HTTP."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial, wraps
from typing import Any

from fastapi import APIRouter
from starlette.responses import StreamingResponse

from .service import Usage


class Csv(StreamingResponse):
    """Lines of a table, sent as they come."""

    media_type = "text/csv"


def routes(usage: Usage) -> APIRouter:
    """Figures of the caller's organization; operators may ask for those of others."""
    table = APIRouter(prefix="/usage", tags=["Usage"])
    table.get("")(usage.summary)
    table.get("/endpoints")(usage.endpoints)
    table.get("/statuses")(usage.statuses)
    table.get("/callers")(usage.callers)
    table.get("/series")(usage.series)
    file = partial(table.get, response_class=Csv, response_model=None)
    file("/series.csv", name="usage_series_csv")(_file(usage.series_csv))
    table.get("/requests")(usage.requests)
    file("/requests.csv", name="usage_requests_csv")(_file(usage.requests_csv))
    table.get("/quotas")(usage.quotas.list)
    return table


def _file(method: Callable[..., Awaitable[AsyncIterator[str]]]) -> Callable[..., Awaitable[Csv]]:
    """Send what a method exports as a file; refusals come before its first line."""

    @wraps(method)
    async def send(*args: Any, **kwargs: Any) -> Csv:
        name = f"usage-{method.__name__.removesuffix('_csv')}.csv"
        headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
        return Csv(await method(*args, **kwargs), headers=headers)

    return send
