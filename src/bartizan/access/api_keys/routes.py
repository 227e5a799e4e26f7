"""API keys over HTTP."""

from fastapi import APIRouter

from .service import ApiKeys


def routes(keys: ApiKeys) -> APIRouter:
    """Keys of the caller, and for who manages keys those of the whole organization."""
    table = APIRouter(prefix="/api-keys", tags=["API keys"])
    table.get("")(keys.list)
    table.post("", status_code=201)(keys.issue)
    table.get("/{key_id}")(keys.get)
    table.patch("/{key_id}")(keys.update)
    table.post("/{key_id}/rotate", status_code=201)(keys.rotate)
    table.delete("/{key_id}", status_code=204)(keys.revoke)
    return table
