"""What is committed belongs to nobody's machine, and promises nothing that it does not do."""

import re
import tomllib
from collections.abc import Iterator

from tools.inventory import REPOSITORY

TEXT = {".py", ".md", ".toml", ".yml", ".yaml", ".json", ".html", ".txt", ".sh", ".css", ".js", ".lock", ""}
TOP = ("src", "tests", "tools", "docs", "examples", "benchmarks", "plugins", ".ci", ".github")

# Written so that none of these patterns matches itself.
MACHINE = re.compile(r"(?<![\w.])/(?:root|work|Users|home/[a-z]\w*)/(?=\w)")
PROMISE = re.compile(r"\b(?:TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b")
MOCK = re.compile(r"unittest[.]mock|Magic[M]ock|Async[M]ock|mocker[.]patch")
SKIP = re.compile(r"pytest[.]skip[(]|mark[.]skip|mark[.]xfail|import[o]rskip")
LOCKED = re.compile(
    r"[\w.-]+(\[[\w,-]+\])?==[\w.+!-]+( ; [^\\]+)?( \\)?|    --hash=sha256:[0-9a-f]{64}( \\)?"
)


def lines(*tops: str) -> Iterator[tuple[str, str]]:
    roots = [REPOSITORY / top for top in tops]
    files = (
        [REPOSITORY / "Makefile", *REPOSITORY.glob("*.md"), *REPOSITORY.glob("*.toml")] if tops == TOP else []
    )
    for file in [*files, *(p for root in roots for p in root.rglob("*"))]:
        if file.is_file() and file.suffix in TEXT and "__pycache__" not in file.parts:
            for number, line in enumerate(file.read_text().splitlines(), 1):
                yield f"{file.relative_to(REPOSITORY)}:{number}", line


def test_no_file_names_a_path_of_one_machine() -> None:
    assert [where for where, line in lines(*TOP) if MACHINE.search(line)] == []


def test_no_promise_is_left_in_the_code() -> None:
    assert [where for where, line in lines(*TOP) if PROMISE.search(line)] == []


def test_our_own_code_is_never_mocked() -> None:
    assert [where for where, line in lines("tests") if MOCK.search(line)] == []


def test_no_test_is_skipped() -> None:
    assert [where for where, line in lines("tests") if SKIP.search(line)] == []


def test_the_locks_hold_names_versions_and_hashes_only() -> None:
    for lock in REPOSITORY.glob("requirements*.lock"):
        odd = [line for line in lock.read_text().splitlines() if not LOCKED.fullmatch(line)]
        assert odd == [], lock.name


def test_every_dependency_has_a_floor_and_only_sqlalchemy_a_ceiling() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    everything = [
        *project["dependencies"],
        *(d for extra in project["optional-dependencies"].values() for d in extra),
    ]
    assert [d for d in everything if ">=" not in d and "bartizan[" not in d] == []
    assert [d for d in everything if "<" in d.partition(";")[0] and not d.startswith("sqlalchemy")] == []


def test_what_runs_on_a_change_calls_the_commands_of_the_readme() -> None:
    run = (REPOSITORY / ".ci" / "run").read_text()
    assert [command for command in ("make check", "make test") if f"\n{command}\n" not in run] == []
    assert "||" not in run
    assert "set -euo pipefail" in run
