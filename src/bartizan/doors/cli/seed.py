"""The demo organization: made once, never in production."""

import secrets
from collections.abc import Sequence

from pydantic import BaseModel, SecretStr

from bartizan.access.identity import EmailTaken, NewUser
from bartizan.access.orgs import NewOrganization, NewTeam, NewTeamMember
from bartizan.foundation.context import current
from bartizan.foundation.errors import Conflict
from bartizan.house import Bartizan

_ORGANIZATION = "Demo Hospital"
_TEAMS = ("Radiology", "Pharmacy", "Research")
_PEOPLE = (
    ("Olive Owner", "owner", "olive@demo.example"),
    ("Adam Admin", "admin", "adam@demo.example"),
    ("Mira Member", "member", "mira@demo.example"),
    ("Victor Viewer", "viewer", "victor@demo.example"),
)


class NotInProduction(Conflict):
    """Demo people are never made in production."""


class DemoPerson(BaseModel):
    """Somebody of the demo organization, with a password that is shown this once."""

    email: str
    password: str
    role: str


class Demo(BaseModel):
    """What was made; no people if it had been made before."""

    organization: str = _ORGANIZATION
    teams: Sequence[str] = _TEAMS
    people: Sequence[DemoPerson] = ()


async def seed_demo(bz: Bartizan) -> Demo:
    """Make one organization, three teams and four people in one transaction; or nothing, if it is there."""
    if bz.settings.production:
        raise NotInProduction
    passwords = [secrets.token_urlsafe(12) for _ in _PEOPLE]
    with current.as_system(name="demo"):
        prepared = [
            await bz.identity.prepare(NewUser(email=email, password=SecretStr(password), full_name=name))
            for (name, _, email), password in zip(_PEOPLE, passwords, strict=True)
        ]
        try:
            async with bz.database.transaction():
                users = [
                    await bz.identity.create(one, verified=True, operator=role == "owner", mail=False)
                    for one, (_, role, _) in zip(prepared, _PEOPLE, strict=True)
                ]
                org = await bz.orgs.create(NewOrganization(name=_ORGANIZATION), owner_id=users[0].id)
                with current.as_system(org.id, name="demo"):
                    for user, (_, role, _) in list(zip(users, _PEOPLE, strict=True))[1:]:
                        await bz.orgs.members.join(user.id, role, org_id=org.id, source="added")
                    for team, lead in zip(_TEAMS, users, strict=False):
                        made = await bz.orgs.teams.found(NewTeam(name=team), org_id=org.id, owner_id=lead.id)
                        if lead is not users[2]:
                            joining = NewTeamMember(user_id=users[2].id)
                            await bz.orgs.teams.add_member(made.id, joining)
        except EmailTaken:
            return Demo()
    people = [
        DemoPerson(email=email, password=password, role=role)
        for (_, role, email), password in zip(_PEOPLE, passwords, strict=True)
    ]
    return Demo(people=people)
