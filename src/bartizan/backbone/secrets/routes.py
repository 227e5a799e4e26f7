"""Secrets over HTTP: values go in and never come out."""

from fastapi import APIRouter

from .service import Secrets


def routes(secrets: Secrets) -> APIRouter:
    """Map operations to methods of the service."""
    table = APIRouter(prefix="/secrets", tags=["Secrets"])
    table.get("")(secrets.list)
    table.post("", status_code=201)(secrets.create)
    table.get("/{name}")(secrets.describe)
    table.put("/{name}")(secrets.rotate)
    table.delete("/{name}", status_code=204)(secrets.delete)
    return table
