"""``make run``: Notes behind Bartizan on SQLite, with a demo organization."""

import asyncio
import os
import sys
from pathlib import Path

import click
import uvicorn

from bartizan.doors.cli.banner import banner
from bartizan.doors.cli.seed import seed_demo
from bartizan.house import Bartizan

from .app import create


def main() -> None:
    """Seed the demo organization, print its credentials once, and serve."""
    folder = Path(os.environ.get("NOTES_DATA", "bartizan-data"))
    folder.mkdir(mode=0o700, exist_ok=True)
    port = int(os.environ.get("PORT", "8000"))
    app = create(f"sqlite:///{folder}/notes.db")
    bz: Bartizan = app.state.bartizan
    bz.listening_at("127.0.0.1", port)
    banner(bz, "Notes")
    people = asyncio.run(seed())
    base = bz.settings.base_url.rstrip("/")
    if people:
        click.secho("  People of the demo organization; the passwords are shown this once:\n", err=True)
        for email, password, role in people:
            click.echo(f"    {role:<10} {email:<24} {password}", err=True)
        email, password, _ = people[0]
        click.echo("\n  In a browser: open the app and sign in. With curl:\n", err=True)
        click.echo(
            f"    TOKEN=$(curl -s {base}{bz.settings.mount}/api/v1/auth/login "
            f"-d username={email} -d password='{password}' | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')\n"
            f"    curl -s {base}/api/notes -H \"Authorization: Bearer $TOKEN\" "
            "-H 'content-type: application/json' -d '{\"text\": \"hello\"}'\n",
            err=True,
        )
    else:
        click.echo(f"  The demo organization is there already (in {folder}); `make clean` starts anew.\n", err=True)
    sys.stderr.flush()
    uvicorn.run(app, host="127.0.0.1", port=port, access_log=False, log_config=None, server_header=False)


async def seed() -> list[tuple[str, str, str]]:
    """Make the demo organization where there is none; give its people with passwords and roles."""
    house = Bartizan()
    try:
        await house.start(embedded=False)
        made = await seed_demo(house)
        return [(person.email, person.password, person.role) for person in made.people]
    finally:
        await house.stop()


if __name__ == "__main__":
    main()
