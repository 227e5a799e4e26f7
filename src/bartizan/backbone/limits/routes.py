"""Limits over HTTP."""

from fastapi import APIRouter

from .service import Limits


def routes(limits: Limits) -> APIRouter:
    """Limits of the caller's organization, and what they refused."""
    table = APIRouter(prefix="/limits", tags=["Limits"])
    table.get("")(limits.list)
    table.put("")(limits.set)
    table.get("/violations")(limits.violations)
    table.delete("/{limit_id}", status_code=204)(limits.remove)
    return table
