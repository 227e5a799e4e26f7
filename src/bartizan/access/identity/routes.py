"""Accounts over HTTP."""

from fastapi import APIRouter

from .service import Identity


def routes(identity: Identity) -> APIRouter:
    """Map operations to methods of the service."""
    table = APIRouter()
    users = APIRouter(prefix="/identity/users", tags=["Identity"])
    users.get("")(identity.list)
    users.post("/import", status_code=201)(identity.import_user)
    users.get("/{user_id}")(identity.get)
    users.patch("/{user_id}")(identity.update)
    users.post("/{user_id}/deactivate")(identity.deactivate)
    users.post("/{user_id}/reactivate")(identity.reactivate)
    users.post("/{user_id}/verification", status_code=204)(identity.resend_verification)
    users.delete("/{user_id}", status_code=204)(identity.delete)
    profile = APIRouter(prefix="/identity/me", tags=["Identity"])
    profile.get("")(identity.me)
    profile.patch("")(identity.update_me)
    auth = APIRouter(prefix="/auth", tags=["Auth"])
    auth.post("/verify")(identity.verify_email)
    auth.post("/verify/resend", status_code=202)(identity.request_verification)
    auth.post("/password/forgot", status_code=202)(identity.request_password_reset)
    auth.post("/password/reset", status_code=204)(identity.reset_password)
    auth.post("/password/change", status_code=204)(identity.change_password)
    for part in (users, profile, auth):
        table.include_router(part)
    return table
