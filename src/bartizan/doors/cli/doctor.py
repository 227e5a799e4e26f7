"""``bartizan doctor``: finds what is wrong and prints the fix; loads the rooms only where they are needed."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any, NoReturn, cast

import click

from bartizan.doors.health import OFFLINE, Case, Finding, Report, examine
from bartizan.doors.health.settings import read
from bartizan.foundation.capability import Check, State, Verdict
from bartizan.foundation.errors import BartizanError

_MARKS = {
    "ok": ("ok     ", "green"),
    "warning": ("warning", "yellow"),
    "problem": ("PROBLEM", "red"),
    "unknown": ("unknown", "blue"),
}
_GROUPS = ("Settings", "Database", "Keys", "Web", "Identity", "Jobs and mail", "Storage", "Machine")


@click.command()
@click.argument("app", required=False)
@click.option("--json", "json_", is_flag=True, help="Print for programs.")
@click.option("--fix", is_flag=True, help="Repair what is safe to repair, and say what was done.")
@click.option("--offline", is_flag=True, help="Look at settings and files only.")
@click.option("--strict", is_flag=True, help="End with 1 for warnings too.")
@click.option("--quiet", is_flag=True, help="Show only what is not well.")
@click.option("--list", "list_", is_flag=True, help="Print every check and why it matters.")
@click.option("--factory", is_flag=True, help="APP is a function that makes the application.")
@click.option("--app-dir", default=".", show_default=True, help="Look for APP in this folder.")
def doctor(  # noqa: PLR0917 - click gives them by name
    app: str | None,
    json_: bool,  # noqa: FBT001
    fix: bool,  # noqa: FBT001
    offline: bool,  # noqa: FBT001
    strict: bool,  # noqa: FBT001
    quiet: bool,  # noqa: FBT001
    list_: bool,  # noqa: FBT001
    factory: bool,  # noqa: FBT001
    app_dir: str,
) -> None:
    """Look the whole installation over: what is wrong, why it matters, and the exact fix.

    With APP, `module:attribute` of the application that Bartizan is attached to, its routes are looked at
    too.
    Ends with 0 if all is fine, 1 if there is a problem, 2 if it could not run.

    \b
    Example:
      bartizan doctor
      bartizan doctor main:app --strict
      bartizan doctor --offline --json
    """
    if list_:
        _list(_catalogue(offline=offline), json_=json_)
        return
    try:
        case = Case(folder=Path.cwd())
        if app and not offline:
            _find(case, app, factory=factory, app_dir=app_dir)
        report = asyncio.run(_examine(case, offline=offline, mend=fix))
    except Exception as error:  # noqa: BLE001 - whatever it is, the user gets words and not a traceback
        _could_not(f"The doctor could not run: {type(error).__name__}: {error}")
    if json_:
        click.echo(json.dumps(report.plain(), indent=2, default=str, ensure_ascii=False))
    else:
        _tell(report, quiet=quiet)
    sys.exit(report.exit_code(strict=strict))


async def _examine(case: Case, *, offline: bool, mend: bool) -> Report:
    checks: list[tuple[Check, Any]] = [(check, case) for check in OFFLINE]
    stands = ["settings"] if case.settings else []
    if offline:
        return await examine(checks, mend=mend, standing=stands)
    try:
        if case.house is None:
            read(case.folder)  # what is wrong with the settings is told by the checks that need nothing
            case.house = import_module("bartizan.house").Bartizan()
        checks += import_module("bartizan.doors.health.standing").standing(case)
        stands += ["house", *(["app"] if case.app is not None else [])]
        return await examine(checks, mend=mend, standing=stands)
    except BartizanError as error:
        checks.append((_built(error), case))
        checks += [(check, case) for check in _catalogue(offline=False)[len(OFFLINE) :]]
        return await examine(checks, mend=mend, standing=stands)
    finally:
        if case.house is not None:
            await case.house.stop()


def _built(error: BartizanError) -> Check:
    """Make a check of what kept the house from being built, unless the settings' check says it already."""
    cure = str(error.facts.get("cure", "")) or _CURES.get(type(error).__name__, "")

    def look(_case: Case) -> Sequence[Verdict]:
        if "problems" in error.facts:
            return ()
        return (Verdict.problem(str(error), cure),)

    return Check(
        code="settings.house",
        group="Settings",
        asks="Every room can be built from the settings.",
        why="Nothing starts until it can.",
        look=look,
        needs="nothing",
    )


_CURES = {
    "BadDatabaseUrl": "BARTIZAN_DATABASE=sqlite:///bartizan.db or postgresql+asyncpg://user:password@host/name",
    "NoSecretKey": "Let this user write BARTIZAN_DATA_DIR, or set BARTIZAN_SECRET_KEY.",
}


def _find(case: Case, name: str, *, factory: bool, app_dir: str) -> None:
    """Import the application that was named, and take its house."""
    serving = import_module("bartizan.doors.cli.serving")
    try:
        case.app = serving.find(name, Path(app_dir), factory=factory)
        case.house = serving.attached_to(case.app, name)
    except SystemExit:
        sys.exit(2)
    except BartizanError:
        case.app = case.house = None  # its settings are wrong, which the first checks tell


def _catalogue(*, offline: bool) -> Sequence[Check]:
    if offline:
        return OFFLINE
    return (*OFFLINE, *import_module("bartizan.doors.health.standing").catalogue())


def _list(checks: Sequence[Check], *, json_: bool) -> None:
    ordered = sorted(checks, key=lambda check: _GROUPS.index(check.group))
    rows = [
        {"code": c.code, "group": c.group, "asks": c.asks, "why": c.why, "mends": c.mends} for c in ordered
    ]
    if json_:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for group, some in groupby(rows, key=lambda row: row["group"]):
        click.secho(f"\n{group}", bold=True)
        for row in some:
            click.echo(f"  {row['code']}: {row['asks']}\n      {row['why']}")
            if row["mends"]:
                click.echo(f"      --fix {row['mends']}")


def _order(finding: Finding) -> int:
    return _GROUPS.index(finding.group) if finding.group in _GROUPS else len(_GROUPS)


def _tell(report: Report, *, quiet: bool) -> None:
    for repair in report.repairs:
        click.secho(f"repaired  {repair}", fg="green")
    waiting = Counter(finding.what for finding in report.findings if finding.skipped)
    shown = [f for f in report.findings if not f.skipped and (not quiet or f.state in {"warning", "problem"})]
    explained: set[str] = set()
    for group, some in groupby(sorted(shown, key=_order), key=lambda finding: finding.group):
        click.secho(f"\n{group}", bold=True)
        for finding in some:
            _line(finding, why=finding.code not in explained)
            explained.add(finding.code)
    click.echo()
    for reason, count in waiting.items():
        click.echo(f"{count} checks: {reason[:1].lower()}{reason[1:]}")
    known = {"problem": "problems", "warning": "warnings", "unknown": "unknown", "ok": "ok"}
    click.echo(", ".join(f"{report.count(cast('State', state))} {name}" for state, name in known.items()))
    if mendable := sum(finding.fixable for finding in report.findings):
        click.echo(f"`bartizan doctor --fix` repairs {mendable} of these.")


def _line(finding: Finding, *, why: bool) -> None:
    mark, colour = _MARKS[finding.state]
    click.echo(f"  {click.style(mark, fg=colour, bold=finding.state == 'problem')} {finding.what}")
    if why and finding.state in {"warning", "problem"}:
        click.echo(f"          why: {finding.why} {finding.link}")
    if finding.fix:
        click.echo(f"          fix: {finding.fix}")


def _could_not(what: str) -> NoReturn:
    click.secho(what, fg="red", bold=True, err=True)
    click.echo(
        "  Please report it, with `bartizan --version` and what is special about this machine.", err=True
    )
    sys.exit(2)
