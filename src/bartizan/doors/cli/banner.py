"""What the server says when it starts; secrets never."""

import click

from bartizan.house import VERSION
from bartizan.house import Bartizan


def banner(house: Bartizan, title: str) -> None:
    """Print where everything is, to the error stream."""
    settings = house.settings
    base = settings.base_url.rstrip("/")
    mount = settings.mount.rstrip("/")
    lines = [
        ("App", f"{base}/" if mount else f"{base}/account"),
        ("Sign in", f"{base}{mount}/sign-in"),
        ("API", f"{base}{mount}/api/v1"),
    ]
    if not settings.production:
        lines.append(("API docs", f"{base}{mount}/docs"))
    click.secho(f"\n  Bartizan {VERSION}  ·  {title}", bold=True, err=True)
    click.echo(f"  {settings.environment}  ·  {house.database.describe()}  ·  {house.toggles()}\n", err=True)
    for name, address in lines:
        click.echo(f"  {name:<9} {address}", err=True)
    click.echo(err=True)
