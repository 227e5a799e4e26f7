"""Commands about people: the first owner, and why somebody may."""

import click

from bartizan.access.identity import UnknownUser
from bartizan.access.rbac import Explanation
from bartizan.doors.guard.policy import policy_file
from bartizan.foundation.context import current
from bartizan.foundation.errors import Invalid
from bartizan.house import Bartizan

from .running import as_json, asking, with_house


@click.group()
def owner() -> None:
    """Make the link that makes the first owner."""


@owner.command()
@click.option(
    "--minutes", default=30, show_default=True, type=click.IntRange(1, 1440), help="How long it works."
)
@asking
async def link(minutes: int) -> None:
    """Print a link that works once: whoever opens it becomes an owner and operator.

    \b
    Example:
      bartizan owner link
    """

    async def act(house: Bartizan) -> str:
        with current.as_system(name="command line"):
            return await house.sessions.owner_link(minutes=minutes)

    address = await with_house(act)
    click.echo(address)
    click.echo(f"Works once, for {minutes} minutes. Make another with the same command.", err=True)


@click.command()
@click.argument("person")
@click.argument("permission")
@click.option("--org", "org", help="Organization (id or slug); needed if the person is in several.")
@click.option("--json", "json_", is_flag=True, help="Print for programs.")
@asking
async def explain(person: str, permission: str, org: str | None, json_: bool) -> None:  # noqa: FBT001
    """Say why PERSON (id or e-mail) may or may not do PERMISSION.

    \b
    Example:
      bartizan explain ada@example.com api_keys:write
    """

    async def act(house: Bartizan) -> None:
        if (file := policy_file(house.settings.guard)) is not None:
            file.declare(house.rbac)
        answer = await explained(house, person, permission, org)
        if json_:
            as_json(answer.model_dump(mode="json"))
            return
        word, colour = ("yes", "green") if answer.allowed else ("no", "red")
        click.echo(f"{click.style(word, fg=colour, bold=True)}  {answer.summary}")
        for reason in answer.because:
            click.echo(f"     {'>' if reason.decides else ' '} {reason.text}")
        if answer.would_allow:
            click.echo(f"     Roles that would allow it: {', '.join(answer.would_allow)}.")

    await with_house(act)


class WhichOrganization(Invalid):
    """The person is in several organizations, or in none: say which with --org."""


async def explained(house: Bartizan, person: str, permission: str, org: str | None) -> Explanation:
    """Explain a decision for somebody named by id or e-mail, in an organization named by id or slug."""
    with current.as_system(name="command line"):
        user = await house.identity.find_by_email(person) if "@" in person else None
        user = user or (await house.identity.people([person])).get(person)
        if user is None:
            message = f"Nobody here is {person}."
            raise UnknownUser(message)
        user_id = user.id
        theirs = await house.orgs.of(user_id)
        chosen = [one for one in theirs if org in {None, one.id, one.slug}]
        if len(chosen) != 1:
            names = ", ".join(one.slug for one in theirs) or "none"
            message = f"Organizations of {person}: {names}."
            raise WhichOrganization(message, field="--org")
    with current.as_system(chosen[0].id, name="command line"):
        return await house.rbac.explain(user_id, permission)
