"""Settings in production: what stops the start, and where the secret key comes from."""

import logging
import os
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field, SecretStr

from bartizan.foundation.settings import (
    BaseSettings,
    MissingService,
    ModuleSection,
    NoSecretKey,
    Problem,
    UnsafeInProduction,
    check_production,
    development_key,
    fall_back,
    load,
    rules,
    secret_keys,
)

GOOD_KEY = "k9-abcdefghijklmnopqrstuvwxyz0123456789"


class Webhooks(ModuleSection):
    timeout: float = Field(default=15, gt=0, description="Seconds.")
    mode: Literal["strict", "lax"] = Field(
        default="strict",
        description="How.",
        json_schema_extra=rules(production_refuses=["lax"], cure="Be strict."),
    )

    def unsafe(self) -> Sequence[Problem]:
        return [Problem("timeout", "It is too long.", "Shorten it.")] if self.timeout > 100 else []


class Settings(BaseSettings):
    webhooks: Webhooks = Field(default=Webhooks(), description="Webhooks.")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def loaded(folder: Path, environ: dict[str, str] | None = None, **overrides: Any) -> Settings:
    return load(Settings, environ=environ or {}, directory=folder, overrides=overrides).settings


@pytest.mark.feature("CORE-13")
def test_production_refuses_everything_unsafe_at_once_with_its_cure(folder: Path) -> None:
    environ = {
        "BARTIZAN_ENVIRONMENT": "production",
        "BARTIZAN_WEBHOOKS__MODE": "lax",
        "BARTIZAN_WEBHOOKS__TIMEOUT": "200",
        "ENABLE_AUTH": "false",
    }
    with pytest.raises(UnsafeInProduction) as caught:
        check_production(loaded(folder, environ))
    problems = {p["name"]: p for p in caught.value.facts["problems"]}
    assert set(problems) == {
        "BARTIZAN_SECRET_KEY",
        "BARTIZAN_DATABASE",
        "BARTIZAN_BASE_URL",
        "BARTIZAN_ENABLE_AUTH",
        "BARTIZAN_WEBHOOKS__MODE",
        "BARTIZAN_WEBHOOKS__TIMEOUT",
    }
    assert problems["BARTIZAN_WEBHOOKS__MODE"]["cure"] == "Be strict."
    assert "token_urlsafe" in problems["BARTIZAN_SECRET_KEY"]["cure"]


@pytest.mark.feature("CORE-13")
@pytest.mark.parametrize("key", ["xk3", "a" * 40, "change-me-in-production-abcdefghijklm", f"{GOOD_KEY},x"])
def test_production_refuses_a_key_that_can_be_guessed(folder: Path, key: str) -> None:
    environ = {
        "BARTIZAN_ENVIRONMENT": "production",
        "BARTIZAN_DATABASE": "postgresql://db/x",
        "BARTIZAN_BASE_URL": "https://a.example",
    }
    check_production(loaded(folder, {**environ, "BARTIZAN_SECRET_KEY": GOOD_KEY}))
    with pytest.raises(UnsafeInProduction, match="BARTIZAN_SECRET_KEY") as caught:
        check_production(loaded(folder, {**environ, "BARTIZAN_SECRET_KEY": key}))
    assert key not in str(caught.value)


def test_development_refuses_nothing(folder: Path) -> None:
    check_production(Settings(secret_key=(SecretStr("x"),)))
    check_production(loaded(folder, secret_key="x"))


@pytest.mark.feature("CORE-13")
def test_development_makes_a_key_and_keeps_it_for_its_owner_only(folder: Path) -> None:
    settings = Settings(data_dir=folder / "deep" / "data")
    [key] = secret_keys(settings)
    assert len(key) >= 32
    assert secret_keys(settings) == [key]
    path = folder / "deep" / "data" / "secret.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["secret.key"]


def test_production_makes_no_key(folder: Path) -> None:
    with pytest.raises(NoSecretKey, match="BARTIZAN_SECRET_KEY"):
        secret_keys(Settings(environment="production", data_dir=folder))
    assert list(folder.iterdir()) == []


def test_a_key_that_cannot_be_kept_is_refused(folder: Path) -> None:
    (folder / "file").write_text("")
    with pytest.raises(NoSecretKey, match="BARTIZAN_SECRET_KEY"):
        development_key(folder / "file")
    (folder / "secret.key").write_text("\n")
    with pytest.raises(NoSecretKey, match="empty"):
        development_key(folder)


def test_processes_that_start_together_get_the_same_key(folder: Path) -> None:
    program = (
        "import sys, pathlib; from bartizan.foundation.settings import development_key;"
        "sys.stdin.readline(); print(development_key(pathlib.Path(sys.argv[1])))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ},
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    keys = {process.communicate()[0].strip() for process in processes}
    assert len(keys) == 1
    assert len(keys.pop()) >= 32
    assert [entry.name for entry in folder.iterdir()] == ["secret.key"]


def test_one_that_was_second_takes_the_key_of_the_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.exists
    (folder / "secret.key").write_text("first")
    monkeypatch.setattr(Path, "exists", lambda self: False if self.name == "secret.key" else real(self))
    assert development_key(folder) == "first"
    assert [entry.name for entry in folder.iterdir()] == ["secret.key"]


@pytest.mark.feature("CORE-15")
def test_an_absent_service_is_a_warning_in_development_and_a_stop_in_production(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        fall_back(Settings(), "Redis", "the database", "refused")
    assert "Redis does not answer (refused): going on with the database." in caplog.text
    with pytest.raises(MissingService, match="Redis"):
        fall_back(Settings(environment="production"), "Redis", "the database", "refused")
