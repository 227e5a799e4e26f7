"""What is published: the wheel holds all that the product needs, and installs where nothing else is."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tools.inventory import HOUSE, REPOSITORY

DEVELOPMENT = {"__pycache__"}


@pytest.fixture(scope="module")
def uv() -> str:
    fetched = REPOSITORY / ".cache" / "tools" / "bin" / "uv"  # by the Makefile, where there is none
    found = shutil.which("uv") or (str(fetched) if fetched.exists() else None)
    assert found, "uv is missing: make fetches it"
    return found


@pytest.fixture(scope="module")
def wheel(uv: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", folder, REPOSITORY], check=True)
    (made,) = folder.glob("*.whl")
    return made


def test_the_wheel_holds_every_file_of_the_house_and_nothing_else(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")}
    ours = {name for name in held if ".dist-info/" not in name}
    files = {
        file.relative_to(HOUSE.parent).as_posix()
        for file in HOUSE.rglob("*")
        if file.is_file() and not DEVELOPMENT.intersection(file.parts)
    }
    assert ours == files
    suffixes = {Path(name).suffix for name in ours}
    assert {".py", ".typed", ".html", ".css", ".svg", ".jinja", ".txt"} <= suffixes
    assert any("/migrations/versions/v0001_" in name for name in ours)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in held)


def test_the_wheel_installs_alone_and_its_command_works(uv: str, wheel: Path, tmp_path: Path) -> None:
    place = tmp_path / "alone"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, place], check=True)
    locked: list[str | Path] = ["--constraint", REPOSITORY / "requirements.lock"]
    subprocess.run([uv, "pip", "install", "--quiet", "--python", place, *locked, wheel], check=True)
    told = subprocess.run(
        [place / "bin" / "bartizan", "--version"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    assert version in told.stdout
    checked = subprocess.run(
        [place / "bin" / "bartizan", "migrate"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    core = subprocess.run(
        [uv, "pip", "list", "--quiet", "--python", place, "--format", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert core.stdout.count('"name"') <= 40
