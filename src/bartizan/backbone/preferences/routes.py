"""Preferences over HTTP."""

from fastapi import APIRouter

from .service import Preferences


def routes(preferences: Preferences) -> APIRouter:
    """Map operations to methods of the service."""
    table = APIRouter(prefix="/preferences", tags=["Preferences"])
    table.get("")(preferences.list)
    table.get("/{key}")(preferences.get)
    table.put("/{key}")(preferences.set)
    table.delete("/{key}", status_code=204)(preferences.unset)
    return table
