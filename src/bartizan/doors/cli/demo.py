"""A demo organization: four people, four roles, three teams; never in production."""

import click

from bartizan.house import Bartizan

from .running import as_json, asking, table, with_house
from .seed import seed_demo


@click.command()
@click.option("--json", "json_", is_flag=True, help="Print for programs.")
@asking
async def demo(json_: bool) -> None:  # noqa: FBT001
    """Make the tables, one organization, three teams and four people, and print their credentials once.

    Run again, it changes nothing and prints no password. In production it refuses.

    \b
    Example:
      bartizan demo
    """

    async def act(house: Bartizan) -> None:
        seed = await seed_demo(house)
        if json_:
            as_json(seed.model_dump(mode="json"))
            return
        click.echo(f"Organization {seed.organization} with teams {', '.join(seed.teams)}.", err=True)
        if seed.people:
            click.echo("Credentials, shown this once:\n", err=True)
            table(((p.email, p.password, p.role) for p in seed.people), ("e-mail", "password", "role"))
        else:
            click.echo("It was there already; its passwords are not known here.", err=True)

    await with_house(act)
