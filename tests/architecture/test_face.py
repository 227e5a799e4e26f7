"""The public face: what it promises is there, and asking for little loads little."""

import subprocess
import sys
from importlib import import_module

import pytest

import bartizan

HEAVY = ("fastapi", "pydantic", "sqlalchemy", "starlette", "uvicorn", "jinja2", "cryptography", "click")


@pytest.mark.parametrize("name", bartizan.__all__)
def test_every_promised_name_is_there(name: str) -> None:
    thing = getattr(bartizan, name)
    assert getattr(thing, "__name__", name) == name


def test_the_names_of_the_one_line_are_promised() -> None:
    needed = {
        "attach",
        "wrap",
        "current",
        "Bartizan",
        "Settings",
        "Permission",
        "require_permission",
        "Event",
    }
    assert needed <= set(bartizan.__all__)


def test_no_other_name_is_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'detach'"):
        _ = bartizan.detach


def test_every_error_that_doors_map_is_promised() -> None:
    kinds = import_module("bartizan.foundation.errors")
    errors = {
        name
        for name, thing in vars(kinds).items()
        if isinstance(thing, type) and issubclass(thing, bartizan.BartizanError)
    }
    assert errors <= set(bartizan.__all__)


def test_importing_the_face_loads_no_framework() -> None:
    code = f"import sys, bartizan; print(*(m for m in {HEAVY!r} if m in sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
