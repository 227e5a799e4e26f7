"""Roles and permissions over HTTP."""

from fastapi import APIRouter

from .service import Rbac


def routes(rbac: Rbac) -> APIRouter:
    """Roles, grants, and explanations, for the caller's organization."""
    table = APIRouter(tags=["Roles and permissions"])
    table.get("/rbac/permissions")(rbac.roles.permissions)
    table.get("/rbac/roles")(rbac.roles.list)
    table.post("/rbac/roles", status_code=201)(rbac.roles.create)
    table.get("/rbac/roles/{name}")(rbac.roles.get)
    table.patch("/rbac/roles/{name}")(rbac.roles.update)
    table.delete("/rbac/roles/{name}", status_code=204)(rbac.roles.delete)
    table.get("/rbac/members/{user_id}")(rbac.access)
    table.put("/rbac/members/{user_id}/roles")(rbac.assign)
    table.get("/rbac/members/{user_id}/grants")(rbac.grants.list)
    table.post("/rbac/members/{user_id}/grants", status_code=201)(rbac.grants.create)
    table.delete("/rbac/grants/{grant_id}", status_code=204)(rbac.grants.delete)
    table.get("/rbac/who-can")(rbac.who_can)
    table.get("/rbac/explain")(rbac.explain)
    table.get("/authz/explain", name="authz_explain")(rbac.explain)
    return table
