"""Organizations, members, teams, workspaces and invitations over HTTP."""

from fastapi import APIRouter

from .service import Orgs


def routes(orgs: Orgs) -> APIRouter:
    """Everything about organizations; all but the first four act on the caller's own."""
    table = APIRouter(tags=["Organizations"])
    table.get("/orgs")(orgs.mine)
    table.post("/orgs", status_code=201)(orgs.found)
    table.get("/admin/orgs")(orgs.list)
    table.put("/admin/orgs/{org_id}/plan")(orgs.plan)
    table.get("/orgs/{org_id}")(orgs.get)
    table.patch("/orgs/{org_id}")(orgs.update)
    table.post("/orgs/{org_id}/transfer")(orgs.transfer)
    table.post("/orgs/{org_id}/close", status_code=204)(orgs.delete)
    table.get("/members")(orgs.members.list)
    table.post("/members", status_code=201)(orgs.members.create)
    table.post("/members/leave", status_code=204)(orgs.members.leave)
    table.get("/members/{user_id}")(orgs.members.get)
    table.patch("/members/{user_id}")(orgs.members.update)
    table.delete("/members/{user_id}", status_code=204)(orgs.members.delete)
    table.get("/teams")(orgs.teams.list)
    table.post("/teams", status_code=201)(orgs.teams.create)
    table.get("/teams/{team_id}")(orgs.teams.get)
    table.patch("/teams/{team_id}")(orgs.teams.update)
    table.delete("/teams/{team_id}", status_code=204)(orgs.teams.delete)
    table.get("/teams/{team_id}/members")(orgs.teams.members)
    table.post("/teams/{team_id}/members", status_code=201)(orgs.teams.add_member)
    table.patch("/teams/{team_id}/members/{user_id}")(orgs.teams.update_member)
    table.delete("/teams/{team_id}/members/{user_id}", status_code=204)(orgs.teams.remove_member)
    table.get("/workspaces")(orgs.workspaces.list)
    table.post("/workspaces", status_code=201)(orgs.workspaces.create)
    table.get("/workspaces/{workspace_id}")(orgs.workspaces.get)
    table.patch("/workspaces/{workspace_id}")(orgs.workspaces.update)
    table.delete("/workspaces/{workspace_id}", status_code=204)(orgs.workspaces.delete)
    table.get("/invitations")(orgs.invitations.list)
    table.post("/invitations", status_code=201)(orgs.invitations.create)
    table.post("/invitations/read")(orgs.invitations.read)
    table.post("/invitations/accept")(orgs.invitations.accept)
    table.get("/invitations/{invitation_id}")(orgs.invitations.get)
    table.post("/invitations/{invitation_id}/resend")(orgs.invitations.resend)
    table.delete("/invitations/{invitation_id}", status_code=204)(orgs.invitations.delete)
    table.get("/domains")(orgs.domains.list)
    table.post("/domains", status_code=201)(orgs.domains.create)
    table.delete("/domains/{domain}", status_code=204)(orgs.domains.delete)
    return table
