"""Commands of whoever keeps an installation: migrations, checks, settings, maintenance."""

import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass

import click

from bartizan.doors.guard.policy import policy_file
from bartizan.foundation.context import current
from bartizan.foundation.errors import BartizanError
from bartizan.foundation.settings import InvalidSettings, describe, load
from bartizan.house import Bartizan, Settings

from .running import as_json, asking, fail, table, with_house


@click.command()
@click.option("--to", "revision", default="head", show_default=True, help="Revision to go to, up or down.")
@click.option("--show", is_flag=True, help="Only print where the database is.")
@click.option("--yes", is_flag=True, help="Do not ask before going down, which drops columns and tables.")
@asking
async def migrate(revision: str, show: bool, yes: bool) -> None:  # noqa: FBT001
    """Bring the database to the newest revision; safe to run from several machines at once.

    \b
    Example:
      bartizan migrate
    """

    async def act(house: Bartizan) -> None:
        before = await house.database.revision()
        if show:
            click.echo(before or "empty")
            return
        if revision != "head" and not yes:
            if not sys.stdin.isatty():
                fail(
                    "Going to an older revision can drop data.",
                    "",
                    "Add --yes if that is what you want.",
                    code=2,
                )
            click.confirm("Going to an older revision can drop data. Go on?", abort=True)
        await house.database.migrate(revision)
        after = await house.database.revision()
        click.echo(
            f"{before or 'empty'} -> {after or 'empty'}" if before != after else f"Already at {after}."
        )

    await with_house(act, start=False)


@click.command()
@click.option("--json", "json_", is_flag=True, help="Print for programs.")
@asking
async def check(json_: bool) -> None:  # noqa: FBT001
    """Tell whether this installation is safe to start: settings, database, migrations.

    \b
    Example:
      BARTIZAN_ENVIRONMENT=production bartizan check
    """

    def tell(findings: Sequence[Finding]) -> int:
        if json_:
            as_json([{"what": f.what, "well": f.well, "detail": f.detail, "cure": f.cure} for f in findings])
        else:
            for finding in findings:
                mark = (
                    click.style("ok  ", fg="green")
                    if finding.well
                    else click.style("BAD ", fg="red", bold=True)
                )
                click.echo(f"{mark} {finding.what}: {finding.detail}")
                if finding.cure and not finding.well:
                    click.echo(f"     {finding.cure}")
        return 0 if all(f.well for f in findings) else 1

    async def act(house: Bartizan) -> int:
        return tell(await look_over(house))

    try:
        code = await with_house(act, start=False)
    except InvalidSettings as error:
        bad = error.facts["problems"]
        code = tell([Finding(p["name"], well=False, detail=p["reason"], cure=p["cure"]) for p in bad])
    sys.exit(code)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found."""

    what: str
    well: bool
    detail: str
    cure: str = ""


async def look_over(house: Bartizan) -> Sequence[Finding]:
    """Look at what start-up needs; the settings were judged when the house was built."""

    async def migrated() -> str:
        return f"at {await house.database.revision() or 'no revision'}"

    async def answers() -> str:
        await house.database.ping()
        return house.database.kind

    async def walls() -> str:
        await house.database.check()
        return "migrated, and organizations are kept apart"

    async def routes() -> str:
        file = policy_file(house.settings.guard)
        return (
            f"{len(file.lines)} in the policy file" if file else "no policy file, so app:read and app:write"
        )

    async def keys() -> str:
        return f"{len((await house.signing_keys.jwks())['keys'])} signing keys"

    found = [Finding("settings", well=True, detail=house.settings.environment)]
    looks: list[tuple[str, Callable[[], Awaitable[str]], str]] = [
        ("database", answers, "Start it, or name another one in BARTIZAN_DATABASE."),
        ("revision", migrated, ""),
        ("tables", walls, ""),
        ("keys", keys, ""),
        ("routes", routes, ""),
    ]
    for what, look, advice in looks:
        try:
            found.append(Finding(what, well=True, detail=await look()))
        except BartizanError as error:
            cure = str(error.facts.get("cure", advice))
            found.append(Finding(what, well=False, detail=str(error), cure=cure))
            break
    return found


@click.group()
def settings() -> None:
    """Show every setting, its value and where it was set."""


@settings.command()
@click.argument("name", required=False)
@click.option("--json", "json_", is_flag=True, help="Print for programs.")
@click.option("--changed", is_flag=True, help="Only what differs from the default.")
@asking
async def show(name: str | None, json_: bool, changed: bool) -> None:  # noqa: FBT001
    """Print each setting with its value, default and source; secrets are masked.

    \b
    Example:
      bartizan settings show BARTIZAN_DATABASE
    """
    loaded = load(Settings)
    rows = list(describe(loaded.settings, loaded.sources))
    if name:
        wanted = name.upper()
        rows = [row for row in rows if row.name.startswith(wanted)]
        if not rows:
            fail(f"There is no setting {name}.", "", "`bartizan settings show` lists them all.", code=3)
    if changed:
        rows = [row for row in rows if row.source != "default"]
    if json_:
        as_json([asdict(row) for row in rows])
        return
    table(
        ((row.name, row.value, row.default, row.source, row.description) for row in rows)
        if name
        else ((row.name, row.value, row.default, row.source) for row in rows),
        ("setting", "value", "default", "source", "what it does")
        if name
        else ("setting", "value", "default", "source"),
    )


@click.command()
@click.argument("state", type=click.Choice(["on", "off"]))
@click.option("--message", default="", help="What people are told.")
@asking
async def maintenance(state: str, message: str) -> None:
    """Close the app for everyone but operators, or open it again.

    Requests in flight are finished; new ones get 503 with Retry-After. Health checks go on.

    \b
    Example:
      bartizan maintenance on --message "Back at 14:00 UTC."
    """

    async def act(house: Bartizan) -> None:
        with current.as_system(name="command line"):
            await house.maintain(message if state == "on" else None)

    await with_house(act)
    click.echo(f"Maintenance is {state}. Servers notice within 5 seconds.")
