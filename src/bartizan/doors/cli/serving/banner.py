"""What the server says when it starts; secrets never."""

import click

from bartizan.foundation.settings import banner as facts
from bartizan.house import VERSION, Bartizan


def banner(house: Bartizan, title: str, *, empty: bool = True) -> None:
    """Print what starts and where everything is, to the error stream."""
    settings = house.settings
    known = facts(settings)
    pages = settings.pages
    click.secho(f"\n  Bartizan {VERSION}  ·  {title}", bold=True, err=True)
    click.echo(f"  {settings.environment}  ·  {known['database']}\n", err=True)
    lines = [("Sign in", f"{pages}/sign-in"), ("API", f"{pages}/api/v1")]
    if settings.mount:
        lines.insert(0, ("App", f"{settings.base_url}/"))
    if not settings.production:
        lines.append(("API docs", f"{pages}/docs"))
    for name, address in lines:
        click.echo(f"  {name:<9} {address}", err=True)
    if empty:
        click.echo("  No account yet? `bartizan owner link` makes the first owner.", err=True)
    click.echo(err=True)
    if not settings.enable_auth:
        click.secho("  Authentication is OFF: everybody is the development user.\n", fg="red", err=True)
