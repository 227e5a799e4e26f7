"""Rules about addresses over HTTP."""

from fastapi import APIRouter

from .service import IpAllowlist


def routes(rules: IpAllowlist) -> APIRouter:
    """Rules of the caller's organization and, for operators, of the whole platform."""
    table = APIRouter(prefix="/ip-allowlist", tags=["Network rules"])
    table.get("")(rules.list)
    table.post("", status_code=201)(rules.create)
    table.get("/test")(rules.test)
    table.post("/simulate")(rules.simulate)
    table.post("/organizations/{org_id}/override")(rules.override)
    table.get("/{rule_id}")(rules.get)
    table.patch("/{rule_id}")(rules.update)
    table.delete("/{rule_id}", status_code=204)(rules.delete)
    return table
