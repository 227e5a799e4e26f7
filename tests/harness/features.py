"""Writes down which rows of the specification have a passing test: ``--features-report=FILE``."""

import json
from collections import defaultdict
from pathlib import Path

import pytest

from tools.features import features

PROPERTY = "feature"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the run say where the report goes."""
    parser.addoption(
        "--features-report", default=None, help="write the rows with a passing test to this JSON file"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Collect in the process that sees every worker's results."""
    if (file := config.getoption("--features-report")) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Report(Path(file)), "features-report")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Send each test's rows along with its result, so that they cross from worker to controller."""
    known = {feature.id for feature in features()}
    for item in items:
        for mark in item.iter_markers(PROPERTY):
            if unknown := set(mark.args) - known:
                message = f"{item.nodeid}: {sorted(unknown)} stand in no row of docs/reference/features.md"
                raise pytest.UsageError(message)
            item.user_properties.extend((PROPERTY, row) for row in mark.args)


class Report:
    """Counts a test for its rows only when it passed with every parameter it ran with."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._rows: dict[str, set[str]] = defaultdict(set)
        self._passed: set[str] = set()
        self._spoilt: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in one phase of one test."""
        rows = {row for name, row in report.user_properties if name == PROPERTY}
        if not rows:
            return
        test = report.nodeid.partition("[")[0]
        self._rows[test].update(str(row) for row in rows)
        if not report.passed:
            self._spoilt.add(test)
        elif report.when == "call":
            self._passed.add(test)

    def pytest_sessionfinish(self) -> None:
        """Write the report."""
        tests = defaultdict(list)
        for test in sorted(self._passed - self._spoilt):
            for row in sorted(self._rows[test]):
                tests[row].append(test)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(dict(sorted(tests.items())), indent=1) + "\n")
