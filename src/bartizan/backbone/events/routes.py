"""Events over HTTP."""

from fastapi import APIRouter

from .service import Events


def routes(events: Events) -> APIRouter:
    """One line for each operation."""
    table = APIRouter(prefix="/events", tags=["Events"])
    table.get("")(events.list)
    table.get("/{event_id}")(events.get)
    return table
