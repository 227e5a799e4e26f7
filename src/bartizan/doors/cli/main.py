"""The command and its table of contents."""

import difflib
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any

import click

# name: (module, attribute, what it does)
COMMANDS = {
    "serve": ("serving", "serve", "Serve the control plane and the pages alone."),
    "guard": ("serving", "guard", "Put sign-in, roles, keys and audit in front of an app."),
    "worker": ("serving", "worker", "Do the jobs, beside or instead of the server."),
    "demo": ("demo", "demo", "Make a demo organization with people and credentials."),
    "migrate": ("keeping", "migrate", "Bring the database to the newest revision."),
    "check": ("keeping", "check", "Tell whether this installation is safe to start."),
    "doctor": ("doctor", "doctor", "Find what is wrong with this installation, and print the fix."),
    "settings": ("keeping", "settings", "Show every setting, its value and where it was set."),
    "policy": ("policy", "policy", "Say which route of an app needs what."),
    "maintenance": ("keeping", "maintenance", "Close the app for a while, politely."),
    "owner": ("people", "owner", "Make the link that makes the first owner."),
    "explain": ("people", "explain", "Say why somebody may or may not do something."),
    "ip": ("network", "ip", "See and mend the rules about addresses."),
    "openapi": ("reference", "openapi", "Print the OpenAPI document of the API."),
}
EXIT_CODES = """\b
Exit codes:
  0  done                       3  not found, or in no state for it
  1  a problem was found        4  may not
  2  the command was misused    5  something it needs does not answer"""


class Contents(click.Group):
    """Finds commands by name without loading the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """List the commands in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Load one command."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command = getattr(import_module(f"{__package__}.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that was typed, or the one that was meant."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1, cutoff=0.5)
            hint = f" Did you mean `bartizan {near[0]}`?" if near else ""
            message = f"There is no command {args[0]!r}.{hint}"
            raise click.UsageError(message, ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Print the table without loading what it names."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, _, summary) in COMMANDS.items()])


@click.group(cls=Contents, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("bartizan"), prog_name="bartizan", message="%(prog)s %(version)s")
def bartizan() -> None:
    """Bartizan: the enterprise layer for Python web applications."""


def main(args: Sequence[str] | None = None) -> None:
    """Run the command; errors are three lines: what happened, why, what to do."""
    try:
        code: Any = bartizan.main(args=args, prog_name="bartizan", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    sys.exit(code if isinstance(code, int) else 0)
