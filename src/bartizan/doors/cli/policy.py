"""Commands about the policy of an app's routes: draft it, and see what it leaves out."""

import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import click

from bartizan.doors.guard.policy import FILE, SAFE, SOCKET, HostRoute, Policy, survey
from bartizan.foundation import ids
from bartizan.foundation.context import current
from bartizan.house import Bartizan

from .running import as_json, asking, fail, table, with_house
from .serving import app_dir, factory, find, house_of

_FIELD = re.compile(r"\{(?P<name>\w*)(?::(?P<kind>\w+))?\}")
_ID = re.compile(r"\d+|[0-9a-f]{12,}|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|~")
_SECONDS = 10
_VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_IMPLIED = frozenset({"HEAD", "OPTIONS"})
_HEADER = """\
# Which route needs what; see docs/how-to/route-policy.md. The most specific route counts.
#   "public"            nobody has to sign in
#   "deny"              closed to everybody
#   "invoice:read"      this permission; describe those of your own in [permissions]
#   ["auditor"]         one of these built-in roles (owners and admins may everything)
# A route that is not named needs app:read to look, and app:write for anything else.

[permissions]
# "invoice:void" = { description = "Void an invoice", roles = ["operator"] }

[routes]
"""
from_openapi = click.option(
    "--from-openapi", "openapi", metavar="FILE|URL", help="Take the routes of an OpenAPI document (JSON)."
)
from_observed = click.option(
    "--from-observed", "observed", is_flag=True, help="Take the requests that the audit log has seen."
)


@click.group()
def policy() -> None:
    """Say which route of an app needs what: draft a policy file, and see what it leaves out."""


@policy.command("init")
@click.argument("app", required=False)
@factory
@app_dir
@from_openapi
@from_observed
@click.option(
    "--output", default=FILE, show_default=True, type=click.Path(dir_okay=False), help="- for the screen."
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option("--json", "json_", is_flag=True, help="Print the routes for programs, and write nothing.")
@asking
async def init(
    *,
    app: str | None,
    factory: bool,
    app_dir: str,
    openapi: str | None,
    observed: bool,
    output: str,
    force: bool,
    json_: bool,
) -> None:
    """Draft a policy file from the routes of APP, of an OpenAPI document, or of what was seen.

    Every route gets what it needs today, so the draft changes nothing until you edit it.

    \b
    Example:
      bartizan policy init main:app
    """
    source = Source(app, Path(app_dir), openapi, factory=factory, observed=observed)
    if source.nothing:
        fail(
            "There is nothing to take routes from.",
            "",
            "Name APP, --from-openapi or --from-observed.",
            code=2,
        )
    if not json_ and not force:
        _leave(output)

    async def act(house: Bartizan) -> Sequence[HostRoute]:
        return await source.routes(house)

    drafted = draft(await with_house(act, start=observed))
    if json_:
        as_json({"routes": drafted})
        return
    text = _HEADER + "".join(f"{json.dumps(route)} = {json.dumps(need)}\n" for route, need in drafted.items())
    if output == "-":
        click.echo(text, nl=False)
        return
    with click.open_file(output, "w", encoding="utf-8") as file:
        file.write(text)
    click.echo(f"{output} has {len(drafted)} routes. Edit it, then run `bartizan policy check`.", err=True)


@policy.command("check")
@click.argument("app", required=False)
@factory
@app_dir
@from_openapi
@from_observed
@click.option("--json", "json_", is_flag=True, help="Print for programs.")
@asking
async def check(
    *,
    app: str | None,
    factory: bool,
    app_dir: str,
    openapi: str | None,
    observed: bool,
    json_: bool,
) -> None:
    """Tell whether the policy file is in order, and which routes of APP nothing is said about.

    Exit code 1 says that something is wrong, or that a route has only the default: app:read to look,
    app:write for anything else.

    \b
    Example:
      bartizan policy check main:app
    """
    source = Source(app, Path(app_dir), openapi, factory=factory, observed=observed)

    async def act(house: Bartizan) -> Report:
        home = source.house or house
        decided = Policy.of(home.settings.guard, home.rbac, source.host)
        return Report.of(decided, await source.routes(house))

    report = await with_house(act, start=observed)
    if json_:
        as_json(
            {
                "routes": report.routes,
                "uncovered": [{"method": m, "path": p, "need": n} for m, p, n in report.uncovered],
                "unused": report.unused,
            }
        )
    else:
        report.tell(bare=source.nothing)
    sys.exit(1 if report.uncovered else 0)


@dataclass(frozen=True, slots=True)
class Report:
    """What a policy says of some routes."""

    routes: int
    uncovered: Sequence[tuple[str, str, str]]
    """Method, path and what it needs for want of anything better."""
    unused: Sequence[str]
    """Routes of the file that none of these meets."""

    @classmethod
    def of(cls, decided: Policy, routes: Sequence[HostRoute]) -> "Report":
        """Look at each route; ``InvalidPolicy`` says what is wrong with the file itself."""
        said = list(decided.coverage(routes))
        uncovered = sorted(
            {(method, shape(template), v.need) for method, template, v in said if v.source == "default"},
            key=lambda found: (found[1], found[0]),
        )
        used = {verdict.entry for _, _, verdict in said if verdict.source == "file"}
        unused = [text for text in decided.texts if text not in used]
        return cls(len(said), uncovered, unused if routes else [])

    def tell(self, *, bare: bool) -> None:
        """Print it for people."""
        if bare:
            click.echo("The policy is in order. Name APP to see which of its routes nothing is said about.")
            return
        for text in self.unused:
            click.echo(f"No route of the app is {text!r}.", err=True)
        if self.uncovered:
            click.secho(f"{len(self.uncovered)} of {self.routes} routes have only the default:", err=True)
            table(self.uncovered, ("method", "path", "needs"))
        else:
            click.echo(f"All {self.routes} routes are covered.")


def _leave(output: str) -> None:
    """Write over nothing that somebody may have edited."""
    if output != "-" and Path(output).exists():
        fail(
            f"{output} is there already.",
            "",
            "Add --force to write over it, or name another --output.",
            code=3,
        )


class Source:
    """Where routes are taken from: an application, a document, what was seen."""

    def __init__(
        self, app: str | None, folder: Path, openapi: str | None, *, factory: bool, observed: bool
    ) -> None:
        """Import the application, if one is named."""
        self.host: Any = find(app, folder, factory=factory) if app else None
        self.house = house_of(self.host)
        self._openapi = openapi
        self._observed = observed
        self.nothing = not (app or openapi or observed)

    async def routes(self, house: Bartizan) -> Sequence[HostRoute]:
        """Give the routes of every source that was named."""
        found: list[HostRoute] = []
        if self.host is not None:
            found += survey(self.host)
            if not found and not (self._openapi or self._observed):
                cure = "Give its OpenAPI document with --from-openapi, or use --from-observed."
                fail("The routes of this kind of application cannot be seen from outside.", "", cure, code=3)
        if self._openapi:
            found += _documented(self._openapi)
        if self._observed:
            found += await _seen(house)
        return found


def draft(routes: Iterable[HostRoute]) -> dict[str, str]:
    """Write routes as a policy file does, each with what it needs today."""
    needs: dict[tuple[str, str], list[str]] = {}
    shapes: dict[str, str] = {}
    for route in routes:
        pattern = shape(route.template)
        pattern = shapes.setdefault(_FIELD.sub("{}", pattern), pattern)
        methods = set(route.methods or _VERBS)
        for method in sorted(methods - _IMPLIED or methods):
            need = "app:read" if method in SAFE or method == SOCKET else "app:write"
            if route.mark is None and method not in (known := needs.setdefault((pattern, need), [])):
                known.append(method)
    return {
        f"{','.join(sorted(methods))} {pattern}": need
        for (pattern, need), methods in needs.items()
        if methods
    }


def shape(template: str) -> str:
    """Write a framework's template as a pattern: whole segments are parameters, the rest of a path is `*`."""
    parts: list[str] = []
    for part in template.split("/"):
        fields = list(_FIELD.finditer(part))
        if any(field["kind"] == "path" for field in fields):
            return "/".join([*parts, "*"])
        parts.append(f"{{{fields[0]['name'] or 'part'}}}" if fields else part)
    return "/".join(parts)


def _documented(source: str) -> list[HostRoute]:
    """Read the routes of an OpenAPI document: a file, or an address."""
    try:
        if source.startswith(("http://", "https://")):
            with urlopen(source, timeout=_SECONDS) as answer:  # noqa: S310 - http and https only, see above
                text = answer.read()
        else:
            text = Path(source).read_bytes()
        paths: dict[str, dict[str, Any]] = json.loads(text)["paths"]
        return [
            HostRoute(frozenset({verb.upper()}), path)
            for path, item in paths.items()
            for verb in item
            if verb.upper() in {*_VERBS, *_IMPLIED}
        ]
    except (OSError, URLError) as error:
        fail(f"{source} cannot be read.", str(error), code=5)
    except (ValueError, KeyError, TypeError, AttributeError):
        fail(f"{source} is no OpenAPI document.", "It must be JSON with `paths`.", code=2)


async def _seen(house: Bartizan) -> list[HostRoute]:
    """Guess routes from the paths in the audit log: a segment that looks like an id is a parameter."""
    click.echo("The audit log has changes, not looks: routes that are only read are missing.", err=True)
    mount = house.settings.mount
    with current.as_system(name="command line"):
        seen = await house.audit.requests()
    return [
        HostRoute(frozenset({method}), _generalised(path))
        for method, path in seen
        if method in _VERBS and path.startswith("/") and not (mount and path.startswith(mount))
    ]


def _generalised(path: str) -> str:
    parts: list[str] = []
    for part in path.split("/"):
        if _ID.fullmatch(part) or ids.valid(part):
            count = sum("{" in kept for kept in parts)
            parts.append(f"{{id{count + 1 if count else ''}}}")
        else:
            parts.append(part)
    return "/".join(parts)
