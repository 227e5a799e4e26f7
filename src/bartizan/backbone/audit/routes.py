"""The audit log over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query

from bartizan.foundation.pages import Page

from .service import Audit
from .types import AuditEvent, AuditQuery


def routes(audit: Audit) -> APIRouter:
    """One line for each operation."""

    async def search(query: Annotated[AuditQuery, Query()]) -> Page[AuditEvent]:
        return await audit.search(query)  # FastAPI reads a model from the query only if told so here

    search.__doc__ = audit.search.__doc__
    table = APIRouter(tags=["Audit"])
    table.get("/audit")(search)
    table.post("/audit", status_code=201)(audit.write)
    table.get("/audit/{event_id}")(audit.get)
    table.get("/admin/audit", name="admin_audit")(search)
    return table
