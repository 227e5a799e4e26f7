"""E-mail over HTTP: what was sent, and whether it arrived."""

from fastapi import APIRouter

from .service import Email


def routes(email: Email) -> APIRouter:
    """Map operations to methods of the service."""
    table = APIRouter(prefix="/email", tags=["E-mail"])
    table.get("/messages")(email.list)
    table.get("/messages/{message_id}")(email.get_status)
    table.post("/test", status_code=201)(email.send_test)
    return table
