"""``make run``: Notes behind Bartizan on SQLite, with a demo organization."""

import asyncio
import os
from pathlib import Path

import click

from bartizan.doors.cli.seed import DemoPerson, seed_demo
from bartizan.doors.cli.serving import reachable, run
from bartizan.house import Bartizan

from .app import create


def main() -> None:
    """Seed the demo organization, print its credentials once, and serve."""
    folder = Path(os.environ.get("NOTES_DATA", ".bartizan"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    port = int(os.environ.get("PORT", "8000"))
    os.environ.setdefault("BARTIZAN_DATABASE", f"sqlite:///{folder}/bartizan.db")
    os.environ.setdefault("BARTIZAN_DATA_DIR", str(folder))
    people = asyncio.run(seed())
    app = create(f"sqlite:///{folder}/notes.db", reachable("127.0.0.1", port))
    bz: Bartizan = app.state.bartizan
    tell(people, bz.settings.base_url, bz.settings.mount)
    run(app, bz, "127.0.0.1", port, "Notes, a sample app", empty=False)


async def seed() -> list[DemoPerson]:
    """Make the demo organization where there is none; give its people."""
    house = Bartizan()
    try:
        await house.start(embedded=False)
        return list((await seed_demo(house)).people)
    finally:
        await house.stop()


def tell(people: list[DemoPerson], base: str, mount: str) -> None:
    """Print the credentials of new people, and how to come in with them."""
    if not people:
        click.echo("\n  The demo organization is there already; `make clean` starts anew.", err=True)
        return
    click.secho(
        "\n  People of the demo organization; the passwords are shown this once:\n", bold=True, err=True
    )
    for person in people:
        click.echo(f"    {person.role:<8} {person.email:<22} {person.password}", err=True)
    first = people[0]
    credentials = f"-d username={first.email} -d password={first.password}"
    extract = 'sed \'s/.*"access_token":"\\([^"]*\\)".*/\\1/\''
    click.echo("\n  In a browser: open the app and sign in. With curl:\n", err=True)
    click.echo(f"    TOKEN=$(curl -s {base}{mount}/api/v1/auth/login {credentials} | {extract})", err=True)
    bearer = '-H "Authorization: Bearer $TOKEN"'
    note = """-H 'Content-Type: application/json' -d '{"text": "hello"}'"""
    click.echo(f"    curl {base}/api/notes {bearer} {note}", err=True)
    click.echo(f"    curl {base}{mount}/api/v1/audit {bearer}", err=True)


if __name__ == "__main__":
    main()
