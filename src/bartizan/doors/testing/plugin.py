"""The leak matrix in pytest: as a fixture, and as a test that nobody has to write."""

import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import pytest

from .leaks import Report, find_leaks

FindLeaks = Callable[..., Awaitable[Report]]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run name an application to walk."""
    group = parser.getgroup("bartizan", "tenants of an application behind Bartizan")
    group.addoption(
        "--bartizan-leaks",
        metavar="MODULE:APP",
        help="walk every route of the application as two tenants, and fail if anything crosses",
    )
    group.addoption(
        "--bartizan-leaks-make",
        metavar="MODULE:FUNCTION",
        action="append",
        default=[],
        help="a function that makes things as the tenant whose client it gets; may be repeated",
    )
    group.addoption(
        "--bartizan-leaks-skip",
        metavar="'VERB /path'",
        action="append",
        default=[],
        help="a route to leave out, with * for the rest; may be repeated",
    )
    group.addoption(
        "--bartizan-leaks-database",
        metavar="URL",
        help="where Bartizan keeps its tables meanwhile; a SQLite file that is thrown away by default",
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add the test that the command line asks for."""
    if name := config.getoption("--bartizan-leaks"):
        items.append(cast("Any", Walk).from_parent(session, name=f"no-leaks[{name}]", app=str(name)))


class Walk(pytest.Item):
    """Walks one application."""

    def __init__(self, *, app: str, **options: Any) -> None:
        """Walk the application that is called ``app``."""
        cast("Any", super()).__init__(**options)
        self._app = app

    def runtest(self) -> None:
        """Import the application on a throw-away database, walk it, and judge."""
        config = self.config
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bartizan-leaks-")))
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            database = config.getoption("--bartizan-leaks-database") or f"sqlite:///{folder}/bartizan.db"
            for key in [key for key in os.environ if key.startswith("BARTIZAN_DATABASE")]:
                patch.delenv(key)
            for key, value in (
                ("ENVIRONMENT", "test"),
                ("DATABASE", str(database)),
                ("DATA_DIR", str(folder / "data")),
                ("EMAIL__BACKEND", "file"),
                ("EMAIL__FOLDER", str(folder / "mail")),
            ):
                patch.setenv(f"BARTIZAN_{key}", value)
            cast("Any", patch).syspath_prepend(str(config.rootpath))
            app = _named(self._app)
            make = [_named(str(name)) for name in config.getoption("--bartizan-leaks-make") or ()]
            skip = [str(text) for text in config.getoption("--bartizan-leaks-skip") or ()]
            report = asyncio.run(find_leaks(app, make=make, skip=skip))
        self.add_report_section("call", "leaks", str(report))
        sys.stdout.write(f"\n{report}\n")
        report.assert_none()

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show the report, not our own code."""
        if excinfo.errisinstance(AssertionError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Say where this test is: nowhere but on the command line."""
        return self.config.rootpath, None, self.name


def _named(name: str) -> Any:
    module, _, attribute = name.partition(":")
    try:
        thing: Any = import_module(module)
        for part in attribute.split("."):
            thing = getattr(thing, part)
    except (ImportError, AttributeError, ValueError) as error:
        message = f"{name!r} leads to nothing ({error}); write it as module:attribute."
        raise pytest.UsageError(message) from error
    return thing


@pytest.fixture
def bartizan_leaks() -> FindLeaks:
    """Give the function that walks an application as two tenants and reports what crosses."""
    return find_leaks
