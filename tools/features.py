"""Tell which rows of docs/reference/features.md have a passing test: ``python tools/features.py REPORT``."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "features.md"
ROW = re.compile(r"\| (?P<id>[A-Z]+-[A-Z]?\d+) \| (?P<fact>.+) \| (?P<state>here|planned) \|")


class Feature(NamedTuple):
    """One row: an id that stays, a fact, and whether it is claimed."""

    id: str
    fact: str
    planned: bool


def features() -> Sequence[Feature]:
    """Read the rows."""
    return [Feature(m["id"], m["fact"], m["state"] == "planned") for m in ROW.finditer(PAGE.read_text())]


def tally(rows: Sequence[Feature], tests: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """Write the report, a line a row that deserves one, and the sums."""
    shown = [row for row in rows if tests.get(row.id)]
    missing = [row for row in rows if not row.planned and not tests.get(row.id)]
    planned = [row for row in rows if row.planned and not tests.get(row.id)]
    total = (
        f"{len(shown)} rows have a passing test, {len(missing)} claim to be here and have none, "
        f"{len(planned)} are planned."
    )
    return [
        *(f"  shown    {row.id:8} {len(tests[row.id]):3} tests   {row.fact}" for row in shown),
        *(f"  MISSING  {row.id:8}             {row.fact}" for row in missing),
        *(f"  planned  {row.id:8}             {row.fact}" for row in planned),
        total,
    ]


def main(report: Path) -> int:
    """Print the tally; fail if there is nothing to tally."""
    if not report.exists():
        sys.stderr.write(f"{report} is written by `make test`: run that first.\n")
        return 1
    sys.stdout.write("\n".join(tally(features(), json.loads(report.read_text()))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
