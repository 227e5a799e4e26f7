"""What is on record behind the gate, and what strangers meet."""

from typing import Any

from .apps import Guarded


async def audited(app: Guarded, **filters: str) -> list[dict[str, Any]]:
    async with app.signed_in("owner") as owner:
        answer = await owner.get("/_bartizan/api/v1/audit", params={"limit": "200", **filters})
        assert answer.status_code == 200, answer.text
        events: list[dict[str, Any]] = answer.json()["items"]
        return events


async def people(app: Guarded) -> dict[str, str]:
    """Give the e-mail address of each member by id."""
    async with app.signed_in("owner") as owner:
        members = (await owner.get("/_bartizan/api/v1/members")).json()["items"]
        return {member["user_id"]: member["email"] for member in members}


async def refused_when_anonymous(app: Guarded, path: str) -> None:
    async with app.anonymous() as nobody:
        program = await nobody.get(path)
        person = await nobody.get(path, headers={"accept": "text/html"})
    assert program.status_code == 401
    assert program.headers["content-type"] == "application/problem+json"
    assert person.status_code == 303
    assert person.headers["location"].startswith("/_bartizan/sign-in?next=")
