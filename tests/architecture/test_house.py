"""The rules of the house that import-linter cannot say."""

from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

from bartizan.foundation.capability import Capability
from tools.inventory import FLOORS, HOUSE, REPOSITORY, capabilities, floors

ROOMS = list(capabilities())
ENTRIES, LINES = 12, 400
GENERATED = ("migrations/versions", "vendor")


def folders() -> Iterator[Path]:
    for top in (HOUSE, REPOSITORY / "tests", REPOSITORY / "tools"):
        for folder in (top, *(p for p in top.rglob("*") if p.is_dir())):
            if folder.name != "__pycache__" and not any(part in folder.as_posix() for part in GENERATED):
                yield folder


def sources() -> Iterator[Path]:
    for folder in ("src", "tests", "tools", "examples", "benchmarks", "plugins"):
        for file in sorted((REPOSITORY / folder).rglob("*.py")):
            if not any(part in file.as_posix() for part in GENERATED):
                yield file


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    return grimp.build_graph("bartizan", cache_dir=None)


def room_of(module: str) -> str | None:
    parts = module.split(".")
    inside = len(parts) >= 3 and parts[1] in FLOORS and (HOUSE / parts[1] / parts[2]).is_dir()
    return ".".join(parts[:3]) if inside else None


def test_rooms_are_entered_by_their_face(imports: grimp.ImportGraph) -> None:
    trespassers = [
        f"{importer} -> {imported}"
        for imported in sorted(imports.modules)
        if room_of(imported) not in {None, imported}
        for importer in sorted(imports.find_modules_that_directly_import(imported))
        if room_of(importer) != room_of(imported)
        and not (
            imported.endswith(".capability") and importer.startswith(("bartizan.house", "bartizan.doors"))
        )
    ]
    assert trespassers == []


def test_nobody_inside_uses_the_public_face(imports: grimp.ImportGraph) -> None:
    users = imports.find_modules_that_directly_import("bartizan")
    assert {user for user in users if not user.startswith("bartizan.doors.testing")} == set()


def test_no_folder_is_crowded() -> None:
    counts = {folder: len([p for p in folder.iterdir() if p.name != "__pycache__"]) for folder in folders()}
    assert {str(folder): count for folder, count in counts.items() if count > ENTRIES} == {}


def test_no_file_is_long() -> None:
    counts = {file: len(file.read_text().splitlines()) for file in sources()}
    assert {str(file): count for file, count in counts.items() if count > LINES} == {}


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_room_has_one_name_everywhere(room: Capability) -> None:
    (floor,) = (floor for floor, rooms in floors().items() if room in rooms)
    assert (HOUSE / floor / room.name / "__init__.py").is_file()
    assert [p.name for p in room.permissions if not p.name.startswith(f"{room.name}:")] == []
    assert list((REPOSITORY / "tests" / "rooms" / floor).glob(f"test_{room.name}*")) != []
    assert (REPOSITORY / "docs" / "rooms" / f"{room.name}.md").is_file()


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_rooms_tables_carry_its_name(room: Capability) -> None:
    names = [table.__tablename__ for table in room.tables]
    assert [n for n in names if n != f"bz_{room.name}" and not n.startswith(f"bz_{room.name}_")] == []
