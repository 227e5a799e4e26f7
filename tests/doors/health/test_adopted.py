"""The doctor knows of models that were adopted, and of what no wall around them covers."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

APP = """
import bartizan
from fastapi import FastAPI
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Recording(Base):
    __tablename__ = "recordings"
    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)


engine = create_engine("sqlite:///host.db")
Base.metadata.create_all(engine)
app = FastAPI()
bz = bartizan.attach(app)
bz.adopt(Recording, engine=engine)
"""


@pytest.mark.feature("X-22", "X-30")
def test_what_no_wall_covers_of_adopted_models_is_told_with_its_cure(place: Path) -> None:
    (place / "shop.py").write_text(APP)
    done = subprocess.run(
        [sys.executable, "-m", "bartizan", "doctor", "--json", "shop:app"],
        cwd=place, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode in {0, 1}, done.stderr
    (said,) = [one for one in json.loads(done.stdout)["findings"] if one["code"] == "database.adopted"]
    assert said["state"] == "warning", said
    assert "recordings" in said["what"]
    assert said["fix"]
