"""What every command needs: the house, an event loop, and errors in three lines."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from functools import wraps
from typing import Any, NoReturn, ParamSpec, TypeVar

import click

from bartizan.foundation import errors
from bartizan.house import Bartizan

P = ParamSpec("P")
T = TypeVar("T")

EXITS: dict[type, int] = {
    errors.Invalid: 2,
    errors.Unauthenticated: 4,
    errors.PaymentRequired: 4,
    errors.Forbidden: 4,
    errors.NotFound: 3,
    errors.Conflict: 3,
    errors.TooMany: 5,
    errors.Unavailable: 5,
    errors.Fault: 1,
}


def fail(what: str, why: str = "", cure: str = "", *, code: int = 1) -> NoReturn:
    """End the command with three lines: what happened, why, and what to do."""
    click.secho(what, fg="red", bold=True, err=True)
    for line in filter(None, (*why.splitlines(), cure)):
        click.echo(f"  {line.strip()}", err=True)
    sys.exit(code)


def refused(error: errors.BartizanError) -> NoReturn:
    """End the command with what a room said."""
    code = next((EXITS[kind] for kind in type(error).__mro__ if kind in EXITS), 1)
    detail = str(error).removeprefix(error.title).strip("\n ")
    fail(error.title, detail, str(error.facts.get("cure", "")), code=code)


def asking(command: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Run an asynchronous command, and say what went wrong in words."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return asyncio.run(command(*args, **kwargs))
        except errors.BartizanError as error:
            refused(error)

    return run


async def with_house(
    act: Callable[[Bartizan], Awaitable[T]], *, start: bool = True, settings: dict[str, Any] | None = None
) -> T:
    """Open the house of the current folder and environment, act in it, and close it again."""
    house = Bartizan(settings)
    try:
        if start:
            await house.start(embedded=False)
        return await act(house)
    finally:
        await house.stop()


def table(rows: Iterable[Sequence[object]], heads: Sequence[str]) -> None:
    """Print rows: aligned for people, separated by tabs for pipes."""
    texts = [[str(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in texts:
            click.echo("\t".join(row))
        return
    widths = [max(len(row[i]) for row in [list(heads), *texts]) for i in range(len(heads))]
    click.secho("  ".join(head.ljust(width) for head, width in zip(heads, widths, strict=True)), bold=True)
    for row in texts:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def as_json(value: object) -> None:
    """Print a value for programs."""
    click.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False))
