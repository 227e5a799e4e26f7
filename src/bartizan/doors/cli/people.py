"""Commands about people: the first owner, and why somebody may."""

import click

from bartizan.foundation.context import current
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
            return await house.owner_link(minutes=minutes)

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
        answer = await house.explain(person, permission, org)
        if json_:
            as_json(answer.model_dump(mode="json"))
            return
        verdict = (
            click.style("yes", fg="green", bold=True)
            if answer.allowed
            else click.style("no", fg="red", bold=True)
        )
        click.echo(f"{verdict}  {answer.sentence}")
        for step in answer.steps:
            click.echo(f"     {step}")

    await with_house(act)
